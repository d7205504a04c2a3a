// Real agents, and the API key that they need.

import { spawn } from "node:child_process";
import { PASSWORD } from "./server.js";

/** An answer of the API, which has to be a good one. */
export async function send(url, path, { token, ...init } = {}) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(`${url}${path}`, { method: "POST", headers, ...init });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? undefined : answer.json();
}

/** An API key of this user for agents, made in a session that ends at once. */
export async function apiKey(url, { email }, permissions = ["clients.register"]) {
  const body = (value) => JSON.stringify(value);
  const { token } = await send(url, "/api/v1/sign-in", { body: body({ email, password: PASSWORD, token: true }) });
  const { secret } = await send(url, "/api/v1/keys", { token, body: body({ name: "agents", permissions }) });
  await send(url, "/api/v1/sign-out", { token });
  return secret;
}

/** `rollcall agent` with these arguments; `ended` has its exit status, what it said, and when it was gone. */
export function agent(url, key, words) {
  const child = spawn(process.env.ROLLCALL_BINARY, ["agent", ...words], {
    env: { PATH: process.env.PATH, ROLLCALL_KEY: key, ROLLCALL_SERVER: url },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.off("exit", kill));
  const ended = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal, said, at: Date.now() })));
  return { child, ended, said: () => said };
}
