// A real mail server, aiosmtpd, that keeps what it takes in a folder.

import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "./test.js";

/** The mails that have come to one mail server. */
export class Mailbox {
  #child;
  #read = new Set();

  /** Starts one on this port. */
  static async start(port) {
    const program = process.env.AIOSMTPD;
    if (!program) throw new Error("AIOSMTPD names no mail server; run `cargo xtask test`");
    const mailbox = new Mailbox();
    mailbox.folder = await mkdtemp(join(tmpdir(), "rollcall-mail-"));
    const words = ["--nosetuid", "--listen", `127.0.0.1:${port}`, "--class", "aiosmtpd.handlers.Mailbox"];
    const child = spawn(program, [...words, join(mailbox.folder, "mails")], { stdio: ["ignore", "ignore", "pipe"] });
    mailbox.#child = child;
    let said = "";
    child.stderr.on("data", (text) => (said += text));
    process.once("exit", () => child.kill("SIGKILL"));
    await expect.poll(() => child.exitCode === null && listens(port), `aiosmtpd listens ${said}`).toBe(true);
    return mailbox;
  }

  /** The settings of a server that sends its mails to this port. */
  static settings(port, url) {
    const place = ["--smtp-host", "127.0.0.1", "--smtp-port", `${port}`, "--smtp-tls", "none"];
    return [...place, "--mail-from", "Rollcall <rollcall@rollcall.example>", "--public-url", url];
  }

  /** The next mail to somebody that nobody has read yet: `subject`, `text`, and `link`, a path, if there is one. */
  async next(to) {
    let found;
    await expect.poll(async () => (found = await this.#unread(to)) !== undefined, `a mail to ${to}`).toBe(true);
    return found;
  }

  async #unread(to) {
    const folder = join(this.folder, "mails", "new");
    const names = await readdir(folder).catch(() => []);
    const aged = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })));
    for (const { name } of aged.sort((one, other) => one.at - other.at)) {
      if (this.#read.has(name)) continue;
      const mail = (await readFile(join(folder, name), "utf8")).replaceAll("\r\n", "\n");
      const at = mail.indexOf("\n\n");
      const [head, text] = [mail.slice(0, at), mail.slice(at + 2)];
      const header = (wanted) => new RegExp(`^${wanted}: (.*)$`, "m").exec(head)?.[1];
      if (header("To") !== to) continue;
      this.#read.add(name);
      const link = /^http:\/\/localhost:\d+(\/(?:reset-password|not-me)\/\S+)$/m.exec(text)?.[1];
      return { subject: header("Subject"), text, link };
    }
    return undefined;
  }

  /** Stops it and takes its folder away. */
  async stop() {
    const gone = new Promise((done) => this.#child.once("exit", done));
    this.#child.kill("SIGTERM");
    await gone;
    await rm(this.folder, { recursive: true, force: true });
  }
}

function listens(port) {
  return new Promise((answer) => {
    const probe = connect(port, "127.0.0.1");
    probe.once("connect", () => {
      probe.end();
      answer(true);
    });
    probe.once("error", () => answer(false));
  });
}
