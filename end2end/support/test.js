// What every test has: a server, browsers that are watched, and pages that say when they are alive.

import { test as base, expect } from "@playwright/test";
import * as canary from "./canary.js";
import { ADMIN, PASSWORD, Server } from "./server.js";

export { ADMIN, PASSWORD, Server, expect };

/** How a browser on another system calls itself. */
export const FIREFOX_ON_LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";

// The bundle's one export that pages call is `hydrate`. Whoever clicks before it has run uses the page
// as it came from the server; tests of what scripts add wait for it.
function noteHydration() {
  const watched = ({ instance, module }) => {
    const exports = { ...instance.exports };
    exports.hydrate = (...given) => {
      const answer = instance.exports.hydrate(...given);
      // What the page awaits is there already and needs turns of the event loop only.
      requestAnimationFrame(() => setTimeout(() => (window.rollcallIsAlive = true)));
      return answer;
    };
    return { instance: { exports }, module };
  };
  const { instantiate, instantiateStreaming } = WebAssembly;
  WebAssembly.instantiateStreaming = async (...given) => watched(await instantiateStreaming(...given));
  WebAssembly.instantiate = async (...given) => watched(await instantiate(...given));
}

// Browsers where scripts are switched off.
const plain = new WeakSet();

/** Every complaint of a browser; a test that leads to one says so first. */
class Watch {
  complaints = [];
  #allowed = [];

  /** Complaints like this belong to the test, such as a 404 that it asks for. */
  allow(pattern) {
    this.#allowed.push(pattern);
  }

  async follow(context) {
    canary.watch(context);
    const note = (text) => this.complaints.push(text);
    context.on("console", (message) => {
      if (!["error", "warning"].includes(message.type())) return;
      const path = new URL(message.page()?.url() ?? "about:blank").pathname;
      note(`${message.type()} on ${path}: ${message.text().split("\n")[0]} (${message.location().url})`);
    });
    context.on("weberror", (error) => note(`exception: ${error.error()}`));
    await context.addInitScript(noteHydration);
    return context;
  }

  unexpected() {
    const left = this.complaints.filter((text) => !this.#allowed.some((pattern) => pattern.test(text)));
    return [...new Set(left)];
  }
}

export const test = base.extend({
  /** The browsers' complaints. */
  watch: [
    async ({}, use) => {
      const watch = new Watch();
      await use(watch);
      expect(watch.unexpected(), "what the browser complained about").toEqual([]);
    },
    { auto: true },
  ],
  /** How to start a server for this test alone; without it the test uses its file's. */
  fresh: [undefined, { option: true }],
  /** How to start one for all tests of the file; see `serve`. */
  shared: [undefined, { option: true }],
  /** The test's server. */
  server: [
    async ({ fresh, shared }, use) => {
      // Hooks have it, too: one that runs after the file's server was taken away begins another, and that is nobody else's.
      if (!fresh && current?.of !== shared) await leave();
      const server = (!fresh && current?.server) || (await Server.prepare(fresh ?? shared));
      if (!fresh) current = { server, of: shared };
      try {
        if (!server.running) await server.start();
        await use(server);
      } finally {
        if (fresh) await server.remove();
      }
    },
    { timeout: 120_000 },
  ],
  /** Where it is. */
  baseURL: async ({ server }, use) => use(server.url),
  context: async ({ context, watch, javaScriptEnabled }, use) => {
    if (javaScriptEnabled === false) plain.add(context);
    await use(await watch.follow(context));
  },
  /** Makes another browser, with nothing in common with the first: `await another({ userAgent })`. */
  another: async ({ browser, watch, baseURL, javaScriptEnabled }, use) => {
    const contexts = [];
    await use(async (options = {}) => {
      const settings = { baseURL, javaScriptEnabled, ...options };
      const context = await browser.newContext(settings);
      if (settings.javaScriptEnabled === false) plain.add(context);
      contexts.push(context);
      await watch.follow(context);
      return context.newPage();
    });
    for (const context of contexts) await context.close();
  },
});

// The server of a file, and what it was asked for.
let current;

async function leave() {
  const left = current;
  current = undefined;
  await left?.server.remove();
}

/** A server for all tests of a file; `fresh` is for tests that change too much to share one. */
export function serve(shared = {}) {
  // Not started in `beforeAll`: what Playwright prepares for a test needs the address before that.
  test.use({ shared });
  test.afterAll(leave);
}

/** Waits until the page is an application. */
export async function alive(page) {
  // A page without scripts is alive as it comes.
  if ((await page.locator('script[type="module"]').count()) === 0) return;
  await expect.poll(() => page.evaluate(() => window.rollcallIsAlive === true), "the bundle runs").toBe(true);
}

/** Opens a page and waits until it is an application. */
export async function open(page, path) {
  const answer = await page.goto(path);
  await alive(page);
  return answer;
}

/** Fills the form and sends it. */
export async function fillSignIn(page, { email, password }, { keep = false } = {}) {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  if (keep) await page.getByLabel("Keep me signed in", { exact: true }).check();
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** Signs in and waits for the first page. */
export async function signIn(page, who, { next = "/", ...options } = {}) {
  await page.goto(`/sign-in?next=${encodeURIComponent(next)}`);
  if (!plain.has(page.context())) await alive(page);
  await fillSignIn(page, who, options);
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
}

/** The figure of a card. */
export function card(page, name) {
  return page.getByRole("term").filter({ hasText: name }).locator("xpath=following-sibling::dd");
}

/** The rows of the table, without its head. */
export function rows(page) {
  return page
    .getByRole("table", { name: "Sessions" })
    .getByRole("row")
    .filter({ has: page.getByRole("cell") });
}

/** Presses Tab until this has the focus, as somebody without a mouse does. */
export async function tabTo(page, target, most = 80, key = "Tab") {
  for (let pressed = 0; pressed < most; pressed += 1) {
    if (await target.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press(key);
  }
  await expect(target, `within ${most} times ${key}`).toBeFocused();
}

/** Waits for a moment, given as milliseconds since 1970: for what only time brings about. */
export async function until(moment) {
  await expect
    .poll(() => Date.now(), { timeout: moment - Date.now() + 5_000, intervals: [200] })
    .toBeGreaterThan(moment);
}
