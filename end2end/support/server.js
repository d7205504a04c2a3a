// A server of our own for a test: its own port, its own data folder, stopped by its process id.

import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import * as canary from "./canary.js";

const run = promisify(execFile);

/** The administrator of servers that are not asked for a first start. */
export const ADMIN = {
  email: "root@rollcall.example",
  password: "orchard lantern copper violin",
  name: "Administrator",
};

/** The password of users that tests create. */
export const PASSWORD = "meadow harbour pencil saturn";

const binary = () => {
  const path = process.env.ROLLCALL_BINARY;
  if (!path) throw new Error("ROLLCALL_BINARY names no server; run `cargo xtask test`");
  return path;
};

// Only what a program needs, so that no setting of the shell changes what is tested.
const environment = (more = {}) => ({ PATH: process.env.PATH, HOME: process.env.HOME, RUST_LOG: "debug", ...more });

async function freePort() {
  const probe = createServer();
  await new Promise((done, failed) => probe.once("error", failed).listen(0, "127.0.0.1", done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

/** `rollcall serve` in a data folder that outlives stopping and starting it again. */
export class Server {
  #arguments;
  #environment;
  #process;
  #exited;
  #output = "";
  #log = "";

  /** A server that is not started yet; `firstStart` leaves the administrator to the program. */
  static async prepare({ settings = [], firstStart = false, users = [] } = {}) {
    const server = new Server();
    server.folder = await mkdtemp(join(tmpdir(), "rollcall-end2end-"));
    server.port = await freePort();
    server.#arguments = typeof settings === "function" ? settings(server.port) : settings;
    server.#environment = firstStart
      ? {}
      : { ROLLCALL_ADMIN_EMAIL: ADMIN.email, ROLLCALL_ADMIN_PASSWORD: ADMIN.password };
    for (const user of users) await server.createUser(user);
    return server;
  }

  get data() {
    return join(this.folder, "data");
  }

  get running() {
    return this.#process !== undefined;
  }

  get url() {
    return `http://localhost:${this.port}`;
  }

  /** Creates a user in the database, which no server may hold. */
  async createUser({ email, name, role = "member", organisation = "Default" }) {
    const file = join(this.folder, "password");
    await writeFile(file, PASSWORD, { mode: 0o600 });
    const words = ["users", "create", "--data-dir", this.data, "--email", email, "--name", name];
    await run(binary(), [...words, "--role", role, "--organisation", organisation, "--password-file", file], {
      env: environment(),
    });
    await rm(file);
  }

  /** Starts it and waits for the line that says that it is ready. */
  async start() {
    const words = ["serve", "--listen", `127.0.0.1:${this.port}`, "--data-dir", this.data, ...this.#arguments];
    this.#output = "";
    this.#log = "";
    const child = spawn(binary(), words, { env: environment(this.#environment), stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    process.once("exit", () => child.kill("SIGKILL"));
    this.#exited = new Promise((done) => child.once("exit", (code, signal) => done(signal ?? code)));
    child.stderr.on("data", (text) => (this.#log += text));
    await new Promise((ready, failed) => {
      const late = setTimeout(() => failed(new Error(`no server after so long:\n${this.#log}`)), 100_000);
      child.stdout.on("data", (text) => {
        this.#output += text;
        if (this.#output.includes("Rollcall is ready:")) {
          clearTimeout(late);
          ready();
        }
      });
      this.#exited.then((how) => {
        clearTimeout(late);
        failed(new Error(`the server ended (${how}):\n${this.#log}`));
      });
    });
    return this;
  }

  /** Stops it as an operator would, and fails if it does not stop. */
  async stop() {
    const child = this.#process;
    if (!child) return;
    if (child.exitCode === null && child.signalCode === null) await canary.searchMetrics(`http://127.0.0.1:${this.port}`);
    this.#process = undefined;
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    let late;
    const stuck = new Promise((done) => (late = setTimeout(() => done("stuck"), 30_000)));
    const how = await Promise.race([this.#exited, stuck]);
    clearTimeout(late);
    if (how === "stuck") {
      child.kill("SIGKILL");
      throw new Error("the server did not stop within 30 seconds");
    }
    if (how !== 0) throw new Error(`the server ended with ${how}:\n${this.#log}`);
    canary.searchText(this.#log, "the log");
    await canary.searchFolder(this.data);
    await canary.verdict();
  }

  /** Ends it as a power cut would. */
  async kill() {
    const child = this.#process;
    this.#process = undefined;
    child.kill("SIGKILL");
    await this.#exited;
    canary.searchText(this.#log, "the log");
  }

  /** Stops it, looks for secrets in what it leaves, and takes its folder away. */
  async remove() {
    try {
      await this.stop();
    } finally {
      await rm(this.folder, { recursive: true, force: true });
    }
  }

  #printed(pattern) {
    const found = pattern.exec(this.#output);
    if (!found) throw new Error(`the start did not print ${pattern}:\n${this.#output}`);
    return found;
  }

  /** Who signs in first, and with what, as printed. */
  firstSignIn() {
    const [, email, password] = this.#printed(/Sign in with (\S+) and the one-time password (\S+)/);
    return { email, password };
  }

  /** An administrator and a member of the demo, as printed. */
  demoUsers() {
    const [, administrator, member, password] = this.#printed(
      /Demo users, such as (\S+) and (\S+), have the password (\S+)/,
    );
    return { administrator: { email: administrator, password }, member: { email: member, password } };
  }
}
