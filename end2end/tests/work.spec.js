// What runs under a session: seen, stopped, told. With real agents that run real commands.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { agent, apiKey, send } from "../support/agent.js";
import { Network } from "../support/network.js";
import { ADMIN, PASSWORD, alive, expect, rows, serve, signIn, tabTo, test } from "../support/test.js";

const NORA = { email: "nora@rollcall.example", name: "Nora" };
const BO = { email: "bo@rollcall.example", name: "Bo" };

serve({ users: [NORA, BO] });

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const as = (user) => ({ email: user.email, password: PASSWORD });
const table = (page, name) =>
  page
    .getByRole("table", { name })
    .getByRole("row")
    .filter({ has: page.getByRole("cell") });

// As somebody does who has no mouse.
async function enter(page, target) {
  await tabTo(page, target);
  await page.keyboard.press("Enter");
}

// One command as one execution, once the server knows of it.
async function begin(url, key, name, seconds = "600") {
  const running = agent(url, key, ["--name", name, "--artefact-id", `TS-${name}`, "--", "sleep", seconds]);
  const headers = { authorization: `Bearer ${key}` };
  await expect
    .poll(async () => {
      const answer = await fetch(`${url}/api/v1/executions?state=running&page_size=100`, { headers });
      return (await answer.json()).items.some((one) => one.client?.name === name);
    }, `the execution of ${name} runs`)
    .toBe(true);
  return running;
}

for (const javaScriptEnabled of [true, false]) {
  const mode = javaScriptEnabled ? "with scripts" : "without scripts";
  test.describe(mode, () => {
    test.use({ javaScriptEnabled });

    test("two agents show under the console session after Refresh, and force logout stops them", async ({
      page,
      another,
      baseURL,
      watch,
    }) => {
      // A page whose scripts are switched off, and that stays open.
      if (!javaScriptEnabled) watch.allow(/preloaded using link preload but not used/);
      const key = await apiKey(baseURL, NORA);
      const desk = await another();
      await signIn(desk, as(NORA));
      await signIn(page, ADMIN, { next: `/sessions?q=nora&state=active&kind=console` });
      const row = rows(page).filter({ hasText: NORA.email });
      await expect(row).toHaveCount(1);
      const names = [`one ${mode}`, `two ${mode}`];
      const agents = [await begin(baseURL, key, names[0]), await begin(baseURL, key, names[1])];
      const count = page.getByLabel("2 executions of Nora");
      await expect(count).toHaveCount(0);
      await enter(page, page.getByRole("link", { name: "Refresh" }));
      await expect(count).toBeVisible();
      // The row beneath opens by the keyboard.
      const list = page.getByRole("list", { name: "Executions" });
      await expect(list).toBeHidden();
      await enter(page, count);
      await expect(list).toBeVisible();
      for (const name of names) await expect(list).toContainText(`TS-${name}`);
      // The question says what stops.
      await row.getByRole("link", { name: NORA.email }).first().focus();
      await page.keyboard.press("Enter");
      await expect(page.getByRole("heading", { level: 1 })).toContainText("Nora");
      await enter(page, page.getByRole("link", { name: "Force logout" }));
      await expect(page.getByRole("heading", { name: "Logout Nora?" })).toBeVisible();
      await expect(page.getByRole("main")).toContainText("2 executions stop with it, and 2 clients are disconnected.");
      await expect(table(page, "Running executions")).toHaveCount(2);
      await enter(page, page.getByRole("button", { name: "Logout", exact: true }));
      await expect(page.getByRole("heading", { level: 1, name: "Nora is logged out" })).toBeVisible();
      const stopped = table(page, "Active executions terminated");
      await expect(stopped).toHaveCount(2);
      for (const name of names) await expect(stopped.filter({ hasText: `TS-${name}` })).toHaveCount(1);
      for (const { ended } of agents) {
        const { code, said } = await ended;
        expect(code).toBe(122);
        expect(said).toContain("the session has ended: ended by an administrator");
      }
      await desk.goto("/account/sessions");
      await expect(desk).toHaveURL(/sign-in/);
      // The trail says who and what.
      await page.goto("/audit?action=execution.terminated");
      await expect(page.getByRole("main")).toContainText("terminated an execution of Nora");
    });

    test("force logout of an idle user has no such section", async ({ page, another }) => {
      await signIn(await another(), as(BO));
      await signIn(page, ADMIN, { next: "/users?active=true" });
      await enter(page, page.getByRole("link", { name: "Logout Bo" }));
      await expect(page.getByRole("heading", { name: "Logout Bo?" })).toBeVisible();
      await expect(page.getByRole("table")).toHaveCount(0);
      await enter(page, page.getByRole("button", { name: "Logout", exact: true }));
      await expect(page.getByRole("heading", { level: 1, name: "Bo is logged out" })).toBeVisible();
      await expect(page.getByText("Active executions terminated")).toHaveCount(0);
    });

    test("a client is seen, disconnected and removed by the keyboard alone", async ({ page, baseURL }) => {
      const key = await apiKey(baseURL, NORA);
      const name = `runner ${mode}`;
      const running = await begin(baseURL, key, name);
      await signIn(page, ADMIN);
      await enter(page, page.getByRole("navigation", { name: "Rollcall" }).getByRole("link", { name: "Clients" }));
      await expect(page.getByRole("heading", { level: 1, name: "Clients" })).toBeVisible();
      const row = table(page, "Clients").filter({ hasText: name });
      await expect(row).toContainText("Connected");
      await expect(row).toContainText(NORA.email);
      await enter(page, page.getByRole("link", { name: `Disconnect ${name}` }));
      await expect(page.getByRole("heading", { name: `Disconnect ${name}?` })).toBeVisible();
      await expect(page.getByRole("main")).toContainText("What runs on it stops: 1 execution.");
      await enter(page, page.getByRole("button", { name: "Disconnect" }));
      await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
      await expect(table(page, "Executions on this client")).toContainText("Terminated");
      const { code, said } = await running.ended;
      expect(code).toBe(122);
      expect(said).toContain("client was disconnected");
      await enter(page, page.getByRole("link", { name: "Remove", exact: true }));
      await expect(page.getByRole("heading", { name: `Remove ${name}?` })).toBeVisible();
      await enter(page, page.getByRole("button", { name: "Remove" }));
      await expect(page.getByRole("heading", { level: 1, name: "Clients" })).toBeVisible();
      await expect(table(page, "Clients").filter({ hasText: name })).toHaveCount(0);
    });
  });
}

test("the dialog before an end says what stops with it", async ({ page, baseURL }) => {
  const key = await apiKey(baseURL, NORA);
  const running = await begin(baseURL, key, "in a dialog");
  await signIn(page, ADMIN, { next: "/sessions?kind=client&state=active" });
  await alive(page);
  await page.getByRole("link", { name: "End in a dialog of Nora" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("1 execution stops with it, and 1 client is disconnected.");
  await dialog.getByRole("button", { name: "End session" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Ended the session" })).toBeVisible();
  expect((await running.ended).code).toBe(122);
});

test("a server that was killed finds its agents again, and they stop when their session has ended meanwhile", async ({
  page,
  server,
  baseURL,
}) => {
  const key = await apiKey(baseURL, NORA);
  const [stays, goes] = [await begin(baseURL, key, "stays"), await begin(baseURL, key, "goes")];
  await server.kill();
  await server.start();
  const restarted = Date.now();
  await signIn(page, ADMIN, { next: "/clients?q=goes" });
  await page.getByRole("link", { name: "Disconnect goes" }).click();
  await page.getByRole("button", { name: "Disconnect" }).click();
  expect((await goes.ended).code).toBe(122);
  // The other goes on, once, and is heard of again.
  const ask = async (path) => (await fetch(`${baseURL}${path}`, { headers: { authorization: `Bearer ${key}` } })).json();
  const { items } = await ask("/api/v1/executions?state=running");
  expect(items.map((one) => one.client.name)).toEqual(["stays"]);
  await expect
    .poll(async () => Date.parse((await ask(`/api/v1/clients/${items[0].client.id}`)).last_heartbeat_at), {
      message: "the agent is back",
      timeout: 40_000,
    })
    .toBeGreaterThan(restarted);
  stays.child.kill("SIGTERM");
  expect((await stays.ended).code).toBe(143);
});

for (const how of ["cut", "silence"]) {
  test(`an agent finds its server again after a ${how === "cut" ? "cut of the network" : "silent network"}, and nothing runs twice`, async ({
    baseURL,
  }) => {
    test.setTimeout(150_000);
    const key = await apiKey(baseURL, NORA);
    const network = await Network.to(baseURL);
    const name = `behind a ${how}`;
    const running = await begin(network.url, key, name);
    const ask = async (path) => (await fetch(`${baseURL}${path}`, { headers: { authorization: `Bearer ${key}` } })).json();
    const runs = async () => (await ask("/api/v1/executions?page_size=100")).items.filter((one) => one.client?.name === name);
    const [before] = await runs();
    network[how]();
    const state = async () => (await ask(`/api/v1/clients/${before.client.id}`)).state;
    await expect.poll(state, { message: "the client is lost", timeout: 60_000 }).toBe("lost");
    await expect.poll(() => running.said(), { message: "the agent notices", timeout: 60_000 }).toContain("the server is away");
    expect((await runs()).map((one) => [one.id, one.state])).toEqual([[before.id, "running"]]);
    network.mend();
    await expect.poll(() => running.said(), { message: "the agent is back", timeout: 60_000 }).toContain("connected again");
    expect(await state()).toBe("connected");
    expect((await runs()).map((one) => [one.id, one.state])).toEqual([[before.id, "running"]]);
    // And it listens again.
    const body = JSON.stringify({ state: "terminated" });
    await send(baseURL, `/api/v1/executions/${before.id}`, { token: key, method: "PATCH", body });
    expect((await running.ended).code).toBe(121);
    network.close();
  });
}

test("a waiting agent runs what its line names and nothing else", async ({ baseURL }) => {
  const json = (value) => JSON.stringify(value);
  const session = async (user) => {
    const body = json({ email: user.email, password: user.password, token: true });
    return (await send(baseURL, "/api/v1/sign-in", { body })).token;
  };
  const ask = async (token, path) => (await fetch(`${baseURL}${path}`, { headers: { authorization: `Bearer ${token}` } })).json();
  // Bo may send work.
  const admin = await session(ADMIN);
  const role = await send(baseURL, "/api/v1/roles", {
    token: admin,
    body: json({ name: "Scheduler", permissions: ["executions.dispatch"] }),
  });
  const bo = (await ask(admin, "/api/v1/users?q=bo%40rollcall")).items[0];
  await send(baseURL, `/api/v1/users/${bo.id}`, { token: admin, method: "PATCH", body: json({ roles: [role.key] }) });
  const sender = await session(as(BO));

  const key = await apiKey(baseURL, NORA);
  const lines = ["fail=exit 3", 'ok=test "$ROLLCALL_RUN $ROLLCALL_ARTEFACT_ID" = "ok TS-1; exit 1"', "long=sleep 600"];
  const waiting = agent(baseURL, key, ["serve", "--name", "waiting", ...lines.flatMap((line) => ["--run", line])]);
  await expect.poll(() => waiting.said()).toContain("waiting for work");
  const client = waiting.said().match(/client ([0-9a-f-]{36})/)[1];
  const dispatch = async (run) => {
    const body = json({ run, artefact_id: "TS-1; exit 1", source: "scheduler" });
    return (await send(baseURL, `/api/v1/clients/${client}/dispatch`, { token: sender, body })).id;
  };
  const state = async (id) => (await ask(admin, `/api/v1/executions/${id}`)).state;
  const [ok, fail, other, long] = [await dispatch("ok"), await dispatch("fail"), await dispatch("other"), await dispatch("long")];
  await expect.poll(() => state(ok), "what it names runs, with its artefact id as one word").toBe("finished");
  await expect.poll(() => state(fail)).toBe("failed");
  await expect.poll(() => state(other), "what it does not name does not").toBe("failed");
  expect(waiting.said()).toContain('asked for "other", which this line does not name');
  expect(await state(long)).toBe("running");
  await send(baseURL, `/api/v1/executions/${long}`, { token: admin, method: "PATCH", body: json({ state: "terminated" }) });
  // It waits on.
  const next = await dispatch("ok");
  await expect.poll(() => state(next)).toBe("finished");
  expect(await state(long)).toBe("terminated");
  expect(waiting.child.exitCode).toBe(null);
  // It goes with its session.
  await send(baseURL, `/api/v1/clients/${client}/disconnect`, { token: admin, body: "{}" });
  const { code, said } = await waiting.ended;
  expect(code).toBe(122);
  expect(said).toContain("client was disconnected");
});

for (const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["light", 360], ["dark", 360]]) {
  test.describe(`${colorScheme}, ${width} px wide`, () => {
    test.use({ colorScheme, viewport: { width, height: 780 } });

    test("axe finds nothing, and no page is wider than the window", async ({ page, another, baseURL }) => {
      const key = await apiKey(baseURL, NORA);
      const desk = await another();
      await signIn(desk, as(NORA));
      const name = `${colorScheme}-${width}`;
      const running = await begin(baseURL, key, name);
      await signIn(page, ADMIN, { next: `/clients?q=${name}` });
      const client = new URL(await page.getByRole("link", { name, exact: true }).evaluate((link) => link.href)).pathname;
      await page.goto("/users?q=nora");
      const user = await page.getByRole("link", { name: "Details of Nora" }).getAttribute("href");
      for (const path of [
        "/sessions?q=nora&kind=console&state=active",
        "/clients",
        "/clients?q=nothing",
        client,
        `${client}/disconnect`,
        `${client}/remove`,
        user,
        `${user}/end`,
        `${user}/logged-out`,
      ]) {
        await page.goto(path);
        await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
        const opens = page.locator("summary");
        if (await opens.count()) {
          await opens.first().click();
          await expect(page.getByRole("list", { name: "Executions" }).first()).toBeVisible();
        }
        await page.evaluate(AXE);
        const found = await page.evaluate(async () => {
          const { violations } = await window.axe.run(document);
          return violations.flatMap(({ id, nodes }) => nodes.map(({ target, html }) => `${id}: ${target} ${html.slice(0, 100)}`));
        });
        expect.soft(found, `axe on ${path}`).toEqual([]);
        const wide = await page.evaluate(() => document.scrollingElement.scrollWidth - window.innerWidth);
        expect.soft(wide, `${path} is wider than the window`).toBeLessThanOrEqual(0);
      }
      running.child.kill("SIGTERM");
      await running.ended;
    });
  });
}
