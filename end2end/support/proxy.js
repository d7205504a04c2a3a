// Real proxies with the configurations of docs/proxies, in front of an application that says what it was sent.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as listener } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const documented = (name) => readFile(fileURLToPath(new URL(`../../docs/proxies/${name}`, import.meta.url)), "utf8");

/** A port that nobody listens on. */
export async function freePort() {
  const probe = listener();
  await new Promise((done, failed) => probe.once("error", failed).listen(0, "127.0.0.1", done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

/** An application without any sign-in: it shows the headers that arrive, and counts what reaches it. */
export class Application {
  reached = [];

  static async start() {
    const application = new Application();
    application.server = createServer((request, response) => {
      const { method, url, rawHeaders } = request;
      application.reached.push({ method, url, rawHeaders });
      response.setHeader("content-type", "text/html; charset=utf-8");
      const escaped = JSON.stringify(request.headers).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
      response.end(`<!doctype html><html lang="en"><title>Wiki</title><link rel="icon" href="data:,"><h1>The wiki</h1><p>${url.replaceAll("<", "")}</p><pre>${escaped}</pre>`);
    });
    await new Promise((done) => application.server.listen(0, "127.0.0.1", done));
    application.port = application.server.address().port;
    return application;
  }

  /** The values of a header in the last request, under any spelling. */
  last(name) {
    const { rawHeaders } = this.reached.at(-1);
    const spelled = (text) => text.toLowerCase().replaceAll("_", "-");
    return rawHeaders.filter((_, at) => at % 2 === 1 && spelled(rawHeaders[at - 1]) === name);
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

// What stands in the documentation, for ports of this machine and without certificates.
const fitted = (text, { host, port, rollcall, application }) =>
  text
    .replaceAll("127.0.0.1:8080", `127.0.0.1:${rollcall}`)
    .replaceAll("127.0.0.1:3000", `127.0.0.1:${application}`)
    .replace("listen 443 ssl;", `listen 127.0.0.1:${port};`)
    .replace(/^ *ssl_certificate.*$/gm, "")
    .replace(/^wiki\.example\.org \{/m, `http://${host}:${port} {`)
    .replaceAll("wiki.example.org", host);

const kinds = {
  async nginx(folder, places) {
    const server = fitted(await documented("nginx.conf"), places);
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    const folders = paths.map((name) => `${name}_temp_path ${folder}/${name};`).join(" ");
    const main = `user root; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
      events {} http { access_log off; ${folders}\n${server}\n}`;
    await writeFile(join(folder, "nginx.conf"), main);
    return ["nginx", ["-p", folder, "-c", join(folder, "nginx.conf"), "-e", `${folder}/error.log`, "-g", "daemon off;"]];
  },
  async caddy(folder, places) {
    const site = fitted(await documented("Caddyfile"), places);
    await writeFile(join(folder, "Caddyfile"), `{\n\tadmin off\n\tauto_https off\n}\n${site}`);
    return ["caddy", ["run", "--config", join(folder, "Caddyfile"), "--adapter", "caddyfile"]];
  },
};

/** A proxy of this kind; `places` says where it listens and what is behind it. */
export async function startProxy(kind, places) {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-proxy-"));
  const [program, words] = await kinds[kind](folder, places);
  const env = { PATH: process.env.PATH, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const child = spawn(program, words, { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const gone = new Promise((done) => child.once("exit", done));
  const refused = gone.then((code) => {
    throw new Error(`${kind} ended (${code}):\n${said}`);
  });
  refused.catch(() => {});
  const listens = async () => {
    for (;;) {
      try {
        return await fetch(`http://127.0.0.1:${places.port}/`, { redirect: "manual" });
      } catch {
        await new Promise((done) => setTimeout(done, 20));
      }
    }
  };
  await Promise.race([listens(), refused]);
  return {
    async stop() {
      child.kill("SIGTERM");
      await gone;
      process.off("exit", kill);
      await rm(folder, { recursive: true });
    },
  };
}
