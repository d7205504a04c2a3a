import { createServer } from "node:http";
import { ADMIN, PASSWORD, alive, expect, open, rows, serve, signIn, test } from "../support/test.js";

const MEMBER = { email: "mila@rollcall.example", name: "Mila Member", password: PASSWORD };
const GUEST = { email: "gil@rollcall.example", name: "Gil Guest", password: PASSWORD };

serve({ users: [MEMBER, GUEST] });

const tokenOf = async (context) => (await context.cookies()).find(({ name }) => name === "__Host-rollcall").value;

test("no token lies where scripts of a page can read it", async ({ page, context }) => {
  await page.addInitScript(() => {
    const { instantiateStreaming } = WebAssembly;
    WebAssembly.instantiateStreaming = async (...given) => {
      const made = await instantiateStreaming(...given);
      window.keptMemory = made.instance.exports.memory;
      return made;
    };
  });
  await signIn(page, ADMIN);
  await open(page, "/account/sessions");
  const seen = await page.evaluate(async () => {
    const memory = new Uint8Array(window.keptMemory.buffer);
    let text = "";
    for (let at = 0; at < memory.length; at += 30_000) {
      text += String.fromCharCode(...memory.subarray(at, at + 30_000));
    }
    const inPage = JSON.stringify({
      local: { ...localStorage },
      session: { ...sessionStorage },
      cookie: document.cookie,
      databases: await indexedDB.databases(),
      caches: await caches.keys(),
      name: window.name,
      state: history.state,
      html: document.documentElement.outerHTML,
    });
    return { text: text + inPage, memory: memory.length, inPage };
  });
  expect(seen.memory, "the application's memory was read").toBeGreaterThan(100_000);
  expect(seen.text, "and holds what is on the page").toContain(ADMIN.email);
  expect(seen.text).not.toContain(await tokenOf(context));
  expect(seen.text).not.toContain(ADMIN.password);
  // The prefix alone would tell of any other token; the application's own code does not know it.
  expect(seen.inPage).not.toContain("rc_s_");
});

test("after signing out the way back shows nothing", async ({ page, context }) => {
  await signIn(page, ADMIN);
  await open(page, "/sessions");
  await page.getByRole("link", { name: "My sessions" }).click();
  await expect(page).toHaveURL("/account/sessions");
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/sign-in/);
  expect((await context.cookies()).filter(({ name }) => name === "__Host-rollcall")).toEqual([]);
  for (let step = 0; step < 3; step += 1) {
    await page.goBack();
    await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
    expect(await page.content()).not.toContain(ADMIN.email);
  }
});

test("another site signs nobody out and ends nothing", async ({ page, context, baseURL, watch }) => {
  watch.allow(/status of 40\d|ERR_BLOCKED|Content Security|Cross-Origin/);
  await signIn(page, MEMBER);
  const id = await page.evaluate(async () => (await (await fetch("/api/v1/me")).json()).session.id);
  const evil = await context.newPage();
  const tags = ["/api/v1/sign-out", "/rpc/sign_out", `/api/v1/me/sessions/${id}`, `/account/sessions/${id}/end`]
    .flatMap((path) => [`<img src="${baseURL}${path}">`, `<iframe src="${baseURL}${path}"></iframe>`])
    .join("");
  const form = (path) => `
    <form method="post" action="${baseURL}${path}"><input name="session" value="${id}"><input name="scope" value="all">
      <input name="go" value="true"></form>
    <script>document.forms[0].submit()</script>`;
  // By its number this machine is another site than by its name, and one that browsers let ask.
  const site = createServer((request, answer) => {
    answer.setHeader("content-type", "text/html");
    answer.end(request.url === "/tags" ? tags : form(request.url));
  });
  await new Promise((done) => site.listen(0, "127.0.0.1", done));
  const elsewhere = `http://127.0.0.1:${site.address().port}`;
  const asked = [];
  evil.on("response", (answer) => asked.push(new URL(answer.url()).pathname));
  await evil.goto(`${elsewhere}/tags`);
  for (const path of ["/api/v1/sign-out", "/rpc/sign_out", "/rpc/end_own_session", "/rpc/end_own_sessions"]) {
    // The page leaves by itself, so the navigation that it was asked for may not be the last one.
    const refused = evil.waitForResponse((answer) => answer.url() === `${baseURL}${path}`);
    await evil.goto(elsewhere + path).catch(() => {});
    expect((await refused).status(), path).toBe(403);
  }
  // The forms have led the tab to our own answer; back to the other site.
  await evil.goto(`${elsewhere}/tags`);
  await evil.evaluate(
    ([base]) =>
      Promise.all(
        ["/api/v1/sign-out", "/rpc/sign_out"].map((path) =>
          fetch(base + path, { method: "POST", credentials: "include", mode: "no-cors" }).catch(() => {}),
        ),
      ),
    [baseURL],
  );
  await evil.close();
  site.close();
  expect(asked.filter((path) => path === "/api/v1/sign-out").length, "an image and a form got there").toBeGreaterThan(2);
  await page.goto("/account/sessions");
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
});

test("another clock and another state in the browser open nothing", async ({ page, another, watch }) => {
  watch.allow(/status of 40[13]/);
  await page.clock.setFixedTime(new Date("2001-01-01T00:00:00Z"));
  await page.addInitScript(() => {
    localStorage.setItem("role", "platform_administrator");
    window.permissions = ["sessions.view", "sessions.end"];
  });
  await page.goto("/sign-in");
  await page.getByLabel("E-mail").fill(GUEST.email);
  await page.getByLabel("Password", { exact: true }).fill(GUEST.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
  const status = (path) => page.evaluate(async (address) => (await fetch(address)).status, path);
  expect(await status("/api/v1/me")).toBe(200);
  expect(await status("/api/v1/sessions")).toBe(403);
  expect((await page.goto("/sessions")).status()).toBe(403);
  const id = await page.evaluate(async () => (await (await fetch("/api/v1/me")).json()).session.id);
  const admin = await another();
  await signIn(admin, ADMIN);
  const ended = await admin.evaluate(
    async (session) => (await fetch(`/api/v1/sessions/${session}`, { method: "DELETE" })).status,
    id,
  );
  expect(ended).toBe(204);
  // By this browser's clock the session began a moment ago and goes on for a quarter of a century.
  expect(await status("/api/v1/me")).toBe(401);
  await page.goto("/account/sessions");
  await expect(page).toHaveURL(/\/sign-in/);
});

const CALL = "window.owned=1";
const MARKUP = [
  `<script>${CALL}</script>`,
  `<img src=x onerror=${CALL}>`,
  `<svg/onload=${CALL}>`,
  `<iframe srcdoc="<script>parent.owned=1</script>">`,
  `<a href="javascript:${CALL}">x</a>`,
  `<details open ontoggle=${CALL}>`,
  `<body onload=${CALL}>`,
  `<input autofocus onfocus=${CALL}>`,
  `<math><mtext></form><form><mglyph><style></math><img src onerror=${CALL}>`,
  `{{constructor.constructor('${CALL}')()}}`,
];
const BEFORE = ["", '"', "'", "-->", "</script>", "</title>", "</td></table>", '"],"x":["', "\\u003c", "`${1}`"];
const PAYLOADS = BEFORE.flatMap((before) => MARKUP.map((markup) => before + markup));

test("what others wrote never runs", async ({ page, baseURL, watch }) => {
  test.slow();
  watch.allow(/status of 403 .*sessions\/nothing/);
  const dialogs = [];
  const elsewhere = [];
  page.on("dialog", (dialog) => {
    dialogs.push(dialog.message());
    return dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(baseURL) && !request.url().startsWith("data:")) elsewhere.push(request.url());
  });
  const ids = [];
  for (const payload of PAYLOADS) {
    const answer = await fetch(`${baseURL}/api/v1/sign-in`, {
      method: "POST",
      headers: { "content-type": "application/json", "user-agent": payload },
      body: JSON.stringify({ email: MEMBER.email, password: MEMBER.password, name: payload.slice(0, 80), token: true }),
    });
    expect(answer.status, payload).toBe(200);
    ids.push((await answer.json()).session.id);
  }
  const innocent = async (where) => {
    expect(await page.evaluate(() => window.owned), where).toBeUndefined();
    expect(dialogs, where).toEqual([]);
    expect(elsewhere, where).toEqual([]);
  };
  await signIn(page, ADMIN);
  for (const number of [1, 2]) {
    await open(page, `/sessions?page_size=100&page=${number}`);
    await expect(rows(page).first()).toBeVisible();
    await innocent(`page ${number}`);
  }
  await expect(page.getByText(PAYLOADS[0]).first(), "it is shown as it was written").toBeVisible();
  for (let at = 0; at < ids.length; at += 11) {
    await open(page, `/sessions/${ids[at]}`);
    await innocent(`one session: ${PAYLOADS[at]}`);
    await open(page, `/sessions?q=${encodeURIComponent(PAYLOADS[at])}`);
    await innocent(`search: ${PAYLOADS[at]}`);
    await open(page, `/sessions/${ids[at]}/end`);
    await innocent(`ending: ${PAYLOADS[at]}`);
  }
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  await signIn(page, MEMBER);
  await open(page, "/account/sessions");
  await alive(page);
  await innocent("My Sessions");
  for (const payload of PAYLOADS.slice(0, MARKUP.length)) {
    await page.goto(`/sessions/nothing?__err=${encodeURIComponent(payload)}&__path=${encodeURIComponent(payload)}`);
    await innocent(`an error: ${payload}`);
  }
});
