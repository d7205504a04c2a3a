// Rollcall in front of an application that knows no sign-in, with the proxies and configurations of docs/proxies.

import { request as httpRequest } from "node:http";
import { Application, freePort, startProxy } from "../support/proxy.js";
import { ADMIN, PASSWORD, expect, fillSignIn, rows, serve, signIn, test } from "../support/test.js";

const NORA = { email: "nora@rollcall.example", name: "Nora" };
const HOST = "wiki.localhost";
const IDENTITY = ["remote-user", "remote-email", "remote-name", "remote-groups", "remote-organisation", "remote-session"];

const port = await freePort();
const wiki = `http://${HOST}:${port}`;
serve({
  users: [NORA],
  settings: (own) => [
    "--public-url",
    `http://localhost:${own}`,
    "--trusted-proxy",
    "127.0.0.1",
    "--protect",
    `${wiki}/open/* everyone;${wiki}/admin/* role=administrator;${wiki}/*`,
  ],
});

// One request as it stands here, however strange; redirects are answers.
function send(path, { method = "GET", headers = {} } = {}) {
  return new Promise((done, failed) => {
    const all = { host: `${HOST}:${port}`, ...headers };
    const asked = httpRequest({ host: "127.0.0.1", port, path, method, headers: all, agent: false }, (answer) => {
      let body = "";
      answer.on("data", (part) => (body += part));
      answer.on("end", () => done({ status: answer.statusCode, headers: answer.headers, body }));
    });
    asked.once("error", failed).end();
  });
}

const credential = async (page) => {
  const cookies = await page.context().cookies(wiki);
  return `__Host-rollcall-app=${cookies.find(({ name }) => name === "__Host-rollcall-app").value}`;
};

for (const kind of ["nginx", "caddy"]) {
  test.describe(kind, () => {
    let application;
    let proxy;

    test.beforeEach(async ({ server }) => {
      application = await Application.start();
      proxy = await startProxy(kind, { host: HOST, port, rollcall: server.port, application: application.port });
      application.reached = [];
    });

    test.afterEach(async () => {
      await proxy.stop();
      application.stop();
    });

    // Comes to the application by way of the sign-in.
    async function enter(page, path = "/") {
      await page.goto(`${wiki}${path}`);
      await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
      await fillSignIn(page, { email: NORA.email, password: PASSWORD });
      await expect(page.getByRole("heading", { name: "The wiki" })).toBeVisible();
    }

    for (const javaScriptEnabled of [true, false]) {
      test.describe(javaScriptEnabled ? "with scripts" : "without scripts", () => {
        test.use({ javaScriptEnabled });

        test("whoever comes signs in, arrives where they wanted to, and is known there", async ({ page }) => {
          await enter(page, "/page?a=b&c=d%20e");
          expect(page.url()).toBe(`${wiki}/page?a=b&c=d%20e`);
          expect(application.last("remote-user")).toEqual([NORA.email]);
          expect(application.last("remote-name")).toEqual([NORA.name]);
          expect(application.last("remote-groups")).toEqual(["member"]);
          // The application sees none of our cookies, and its own.
          expect(application.last("cookie").join()).not.toContain("rollcall");
          await page.context().addCookies([{ name: "theirs", value: "kept", url: wiki }]);
          await page.goto(`${wiki}/again`);
          const cookies = application.last("cookie").join();
          expect(cookies).toContain("theirs=kept");
          expect(cookies).not.toContain("rollcall");
        });
      });
    }

    test("an administrator's click ends it there, too", async ({ page, another, watch }) => {
      watch.allow(/Failed to load resource/);
      await enter(page);
      const admin = await another();
      await signIn(admin, ADMIN, { next: "/sessions?q=nora&state=active" });
      await rows(admin).first().getByRole("link", { name: /^End / }).click();
      await admin.getByRole("dialog").getByRole("button", { name: "End session" }).click();
      await expect(admin.getByRole("status").filter({ hasText: "Ended the session" })).toBeVisible();
      const before = application.reached.length;
      await page.goto(`${wiki}/next`);
      await expect(page.getByText("An administrator ended your session")).toBeVisible();
      expect(application.reached.length).toBe(before);
    });

    test("an application signs its users out", async ({ page }) => {
      await enter(page);
      const back = encodeURIComponent(`${wiki}/open/bye`);
      await page.goto(`/auth/sign-out?return=${back}`);
      await expect(page.getByText("in every application that you have reached with it")).toBeVisible();
      await page.getByRole("button", { name: "Sign out" }).click();
      await expect(page).toHaveURL(`${wiki}/open/bye`);
      expect(application.last("remote-user").join("")).toBe("");
      await page.goto(`${wiki}/page`);
      await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
    });

    test("what a visitor says about themselves never arrives", async ({ page }) => {
      await enter(page);
      const cookie = await credential(page);
      const spellings = (name) => [name, name.toUpperCase(), name.replaceAll("-", "_")];
      for (const name of IDENTITY.flatMap(spellings)) {
        for (const connection of ["keep-alive", `keep-alive, ${name}`, IDENTITY.join(", ")]) {
          const answer = await send("/x", { headers: { cookie, connection, [name]: "root@evil.example" } });
          expect.soft(answer.status, `${name} with Connection: ${connection}`).toBe(200);
          expect.soft(JSON.stringify(application.reached.at(-1).rawHeaders)).not.toContain("evil.example");
          expect.soft(application.last("remote-user"), `${name} with Connection: ${connection}`).toEqual([NORA.email]);
          // Where nobody need be signed in, nobody is named.
          const open = await send("/open/x", { headers: { connection, [name]: "root@evil.example" } });
          expect.soft(open.status).toBe(200);
          expect.soft(JSON.stringify(application.reached.at(-1).rawHeaders)).not.toContain("evil.example");
        }
      }
      // Nor where a request is said to go.
      for (const name of ["x-forwarded-uri", "x-forwarded-method", "x-forwarded-host", "x-original-url", "x-rewrite-url", "x-forwarded-prefix"]) {
        const before = application.reached.length;
        for (const value of ["/open/x", "GET", "other.example"]) {
          const answer = await send("/admin/x", { headers: { cookie, [name]: value } });
          expect.soft(answer.status, `${name}: ${value}`).toBe(403);
        }
        expect.soft(application.reached.length).toBe(before);
      }
    });

    test("what is not open stays closed, however it is spelled", async ({ page }) => {
      await enter(page);
      const headers = { cookie: await credential(page) };
      const before = application.reached.length;
      for (const path of ["/admin/x", "/admin", "//admin/x", "/%61dmin/x", "/admin/?x=/open/", "/open/../admin/x", "/open/%2e%2e/admin", "/open/..%2fadmin", "/open/..;/admin"]) {
        const answer = await send(path, { headers });
        expect.soft([400, 403], path).toContain(answer.status);
      }
      for (const cookie of ["", "__Host-rollcall-app=rc_h_x", `${headers.cookie}; ${headers.cookie}`]) {
        const answer = await send("/x", { headers: { cookie } });
        expect.soft([302, 303, 400, 401, 500], cookie).toContain(answer.status);
      }
      const posted = await send("/x", { method: "POST" });
      expect.soft([302, 401]).toContain(posted.status);
      expect(application.reached.length).toBe(before);
    });

    test("without Rollcall nothing arrives", async ({ page, server }) => {
      await enter(page);
      const headers = { cookie: await credential(page) };
      expect((await send("/x", { headers })).status).toBe(200);
      const before = application.reached.length;
      await server.stop();
      for (const path of ["/x", "/open/x"]) {
        expect((await send(path, { headers })).status).toBeGreaterThanOrEqual(500);
      }
      expect(application.reached.length).toBe(before);
      await server.start();
      expect((await send("/x", { headers })).status).toBe(200);
    });
  });
}
