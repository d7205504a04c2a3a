// Every secret that the browsers of a run have seen or sent, and the search for it where none may lie: the
// pages, the server's data, its log and its metrics (row 3 of the list of security requirements).

import { appendFile, mkdir, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const TOKEN = /rc_s_[A-Za-z0-9_-]{64}|rc_p_[A-Za-z0-9_-]{43}/g;
const RESULT = fileURLToPath(new URL("../test-results/canaries.txt", import.meta.url));
const FIELDS_WITH_PASSWORDS = ["password", "current", "current_password", "new", "new_password", "repeated"];

const secrets = new Set();
const looks = new Set();
const found = [];
let searched = 0;

/** Writes a secret down. What is too short to be anybody's password is a wrong guess, and may be a word of a page. */
export function note(secret) {
  if (secret?.length >= 15) secrets.add(secret);
}

/** Watches what a browser sends and receives. */
export function watch(context) {
  context.on("request", (request) => {
    if (request.method() !== "POST") return;
    const form = new URLSearchParams(request.postData() ?? "");
    // Fields of server functions have names like `form[password]`.
    for (const [name, value] of form) {
      if (FIELDS_WITH_PASSWORDS.includes(name.replace(/^.*\[(.*)\]$/, "$1"))) note(value);
    }
  });
  context.on("response", (response) => {
    const look = lookAt(response);
    looks.add(look);
    look.finally(() => looks.delete(look));
  });
}

async function lookAt(response) {
  // A page that is left or closed takes its answers along; what could not be read was not shown either.
  const headers = await response.headersArray().catch(() => []);
  for (const { name, value } of headers) {
    const secretOnes = ["set-cookie", "session-token"].includes(name.toLowerCase());
    if (secretOnes) for (const [token] of value.matchAll(TOKEN)) note(token);
    else search(Buffer.from(value), `header ${name} of ${response.url()}`);
  }
  if (/html|json|text/.test(response.headers()["content-type"] ?? "")) {
    const body = await response.body().catch(() => Buffer.alloc(0));
    search(body, `the answer of ${response.url()}`);
    for (const [token] of body.toString("latin1").matchAll(TOKEN)) found.push(`a token in the answer of ${response.url()} (${token.length})`);
  }
}

/** Searches what a server tells of itself while it runs. */
export async function searchMetrics(url) {
  const answer = await fetch(`${url}/metrics`);
  if (!answer.ok) throw new Error(`/metrics answers ${answer.status}`);
  search(Buffer.from(await answer.arrayBuffer()), "/metrics");
}

/** Searches a text, such as a log. */
export function searchText(text, where) {
  search(Buffer.from(text), where);
}

// What each file is there to hold: the key of the audit trail, and the password of demo users, which each start prints.
const KEPT_ON_PURPOSE = ["audit.key", "demo"];

/** Searches all files of a stopped server's data folder. The key of the audit trail may lie in its own file only. */
export async function searchFolder(folder) {
  const key = await readFile(join(folder, "audit.key")).catch(() => undefined);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])) {
    if (!entry.isFile() || KEPT_ON_PURPOSE.includes(entry.name)) continue;
    const content = await readFile(join(entry.parentPath, entry.name));
    search(content, entry.name);
    if (key?.length > 0 && content.includes(key)) found.push(`the key of the audit trail in ${entry.name}`);
  }
}

/** Fails if anything was found; writes down what was searched. */
export async function verdict() {
  await Promise.all(looks);
  await mkdir(dirname(RESULT), { recursive: true });
  await appendFile(RESULT, `${process.pid} ${secrets.size} ${searched}\n`);
  if (found.length > 0) throw new Error(`secrets lie where none may: ${[...new Set(found)].join("; ")}`);
}

function search(content, where) {
  searched += content.length;
  for (const secret of secrets) {
    if (shapes(secret).some((shape) => content.includes(shape))) found.push(`a secret in ${where}`);
  }
}

const known = new Map();

// The ways in which a secret could have been written down.
function shapes(secret) {
  const ready = known.get(secret);
  if (ready) return ready;
  const made = inEveryWay(Buffer.from(secret));
  made.push(Buffer.from(encodeURIComponent(secret)));
  if (/^rc_[sp]_/.test(secret)) {
    // Of a session's token 16 bytes name the lineage, 32 are secret; those alone would be enough.
    const bytes = Buffer.from(secret.slice(5), "base64url");
    made.push(Buffer.from(secret.slice(5)), ...inEveryWay(bytes.subarray(-32)));
  }
  known.set(secret, made);
  return made;
}

function inEveryWay(bytes) {
  const hex = bytes.toString("hex");
  const ways = [bytes, Buffer.from(hex), Buffer.from(hex.toUpperCase())];
  // Within a longer text, base64 depends on where the secret begins; characters that hold bits of its
  // neighbours are left out.
  for (const skipped of [0, 1, 2]) {
    const whole = bytes.subarray(skipped, skipped + Math.floor((bytes.length - skipped) / 3) * 3);
    if (whole.length < 6) continue;
    const text = whole.toString("base64");
    ways.push(Buffer.from(text), Buffer.from(text.replaceAll("+", "-").replaceAll("/", "_")));
  }
  return ways;
}
