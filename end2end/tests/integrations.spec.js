// Receivers of events, set up and seen in a browser, with a receiver that is down for a while.

import { createPublicKey, verify } from "node:crypto";
import { createServer } from "node:http";
import { inspect } from "../support/axe.js";
import { ADMIN, PASSWORD, expect, serve, signIn, test } from "../support/test.js";

const users = ["ann", "bob", "cleo"].map((name) => ({ email: `${name}@rollcall.example`, name, password: PASSWORD }));

serve({ users, settings: (own) => ["--public-url", `http://localhost:${own}`, "--allow-outbound", "127.0.0.1"] });

// A program that takes events, unless it is down.
class Receiver {
  down = false;
  events = [];

  static async start() {
    const receiver = new Receiver();
    receiver.server = createServer(async (request, response) => {
      let body = "";
      for await (const part of request) body += part;
      if (!receiver.down) receiver.events.push({ headers: request.headers, body });
      response.statusCode = receiver.down ? 503 : 204;
      response.end();
    });
    await new Promise((done) => receiver.server.listen(0, "127.0.0.1", done));
    receiver.url = `http://127.0.0.1:${receiver.server.address().port}/hook`;
    return receiver;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

const comesAndGoes = async (page, who) => {
  await signIn(page, who);
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/sign-in/);
};

test("a receiver that was down gets every end once it is back, signed, and the page says how long that took", async ({ page, another, server }) => {
  const receiver = await Receiver.start();
  try {
    await signIn(page, ADMIN);
    await page.getByRole("link", { name: "Integrations" }).click();
    await expect(page.getByRole("heading", { name: "Nobody is told" })).toBeVisible();
    await inspect(page, "/integrations without receivers");
    await page.getByRole("link", { name: "Add a receiver" }).first().click();
    await page.getByLabel("Name").fill("Billing");
    await page.getByLabel("Address").fill("http://192.0.2.7/hook");
    await inspect(page, "/integrations/receivers/new");
    await page.getByRole("button", { name: "Save" }).click();
    // An address inside is refused, beside its field; what was typed stays.
    await expect(page.getByLabel("Address")).toHaveAttribute("aria-invalid", "true");
    await expect(page.getByLabel("Name")).toHaveValue("Billing");
    await page.getByLabel("Address").fill(receiver.url);
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByRole("heading", { name: "Billing" })).toBeVisible();
    await inspect(page, "the page of a receiver");

    await comesAndGoes(await another(), users[0]);
    await expect.poll(() => receiver.events.length, { intervals: [20] }).toBe(1);

    receiver.down = true;
    await comesAndGoes(await another(), users[1]);
    await page.goto("/integrations");
    await expect(page.getByRole("row", { name: /Billing/ })).toContainText("Failing");
    await comesAndGoes(await another(), users[2]);
    await page.goto("/integrations/deliveries");
    await expect(page.getByRole("row", { name: /bob@/ })).toContainText("it answered 503");
    await inspect(page, "/integrations/deliveries");

    receiver.down = false;
    await expect.poll(() => receiver.events.length).toBe(3);
    const told = receiver.events.map(({ body }) => JSON.parse(body));
    expect(told.map(({ type }) => type)).toEqual(["session.ended", "session.ended", "session.ended"]);
    expect(new Set(told.map(({ data }) => data.session.id)).size).toBe(3);
    expect(new Set(receiver.events.map(({ headers }) => headers["webhook-id"])).size).toBe(3);
    const { keys } = await (await page.request.get("/.well-known/jwks.json")).json();
    const key = createPublicKey({ key: keys.find(({ kty }) => kty === "OKP"), format: "jwk" });
    for (const { headers, body } of receiver.events) {
      const signed = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
      const [version, signature] = headers["webhook-signature"].split(",");
      expect(version).toBe("v1a");
      expect(verify(null, signed, key, Buffer.from(signature, "base64"))).toBe(true);
    }
    await page.goto("/integrations");
    await expect(page.getByRole("row", { name: /Billing/ })).toContainText("Delivering");
    await expect(page.getByRole("row", { name: /bob@/ })).toContainText("1 of 1");
    await inspect(page, "/integrations");
    await page.goto("/integrations/providers");
    await inspect(page, "/integrations/providers");
    await page.goto("/integrations/new-provider");
    await inspect(page, "/integrations/new-provider");
    expect(server.running).toBe(true);
  } finally {
    receiver.stop();
  }
});
