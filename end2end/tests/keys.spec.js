import { ADMIN, expect, serve, signIn, test } from "../support/test.js";

serve({ users: [] });

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? "with scripts" : "without scripts", () => {
    test.use({ javaScriptEnabled });

    test("a key is made, shown once, used and revoked, by the keyboard alone", async ({ page, baseURL }) => {
      await signIn(page, ADMIN, { next: "/account/security" });
      const link = page.getByRole("link", { name: "Show API keys" });
      await link.focus();
      await page.keyboard.press("Enter");
      await expect(page.getByRole("heading", { level: 1, name: "API keys" })).toBeVisible();
      const name = `Pipeline ${javaScriptEnabled}`;
      await page.getByRole("textbox", { name: "Name" }).focus();
      await page.keyboard.type(name);
      await page.keyboard.press("Enter");
      const shown = page.getByRole("status", { name: "New API key" });
      await expect(shown).toBeVisible();
      const secret = await shown.locator(".secret").innerText();
      expect(secret).toMatch(/^rc_k_[\w-]{43}$/);
      const me = () => fetch(`${baseURL}/api/v1/me`, { headers: { authorization: `Bearer ${secret}` } });
      const answer = await me();
      expect(answer.status).toBe(200);
      expect((await answer.json()).permissions).toEqual(["clients.register"]);
      await page.reload();
      await expect(page.getByRole("heading", { level: 1, name: "API keys" })).toBeVisible();
      expect(await page.content()).not.toContain("rc_k_");
      const revoke = page.getByRole("link", { name: `Revoke ${name}` });
      await revoke.focus();
      await page.keyboard.press("Enter");
      await expect(page.getByRole("heading", { name: `Revoke ${name}?` })).toBeVisible();
      expect((await me()).status).toBe(200);
      await page.getByRole("button", { name: "Revoke key" }).focus();
      await page.keyboard.press("Enter");
      await expect(revoke).toHaveCount(0);
      await expect(page.getByRole("row", { name }).getByText("Revoked")).toBeVisible();
      expect((await me()).status).toBe(401);
    });
  });
}
