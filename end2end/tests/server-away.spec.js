import { ADMIN, alive, expect, open, rows, signIn, test } from "../support/test.js";

test.use({ fresh: { settings: ["--demo", "60"] } });

test("while the server is away the rows stay and Refresh says so; Retry works when it is back", async ({
  page,
  server,
  watch,
}) => {
  await signIn(page, ADMIN);
  await alive(page);
  await expect(rows(page)).toHaveCount(10);
  await server.stop();
  watch.allow(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
  await page.getByRole("link", { name: "Refresh" }).click();
  const alert = page.getByRole("region", { name: "List of sessions" }).getByRole("alert");
  await expect(alert).toContainText("The server could not be reached. Check the connection and try again.");
  await expect(alert.getByRole("button", { name: "Retry" })).toBeVisible();
  await expect(rows(page), "what was there stays").toHaveCount(10);
  await server.start();
  await alert.getByRole("button", { name: "Retry" }).click();
  await expect(page.getByRole("alert")).toHaveCount(0);
  await expect(rows(page)).toHaveCount(10);
  await expect(page.getByText("Current session")).toBeVisible();
});

test("an end that does not reach the server is said in the dialog, which stays", async ({ page, server, watch }) => {
  await signIn(page, ADMIN);
  await open(page, "/sessions?q=alderfinch&state=active");
  await rows(page).first().getByRole("link", { name: /^End / }).click();
  await server.stop();
  watch.allow(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
  const dialog = page.getByRole("dialog", { name: "End this session?" });
  await dialog.getByRole("button", { name: "End session" }).click();
  await expect(dialog.getByRole("alert")).toContainText("The server could not be reached.");
  await server.start();
  await dialog.getByRole("button", { name: "End session" }).click();
  await expect(page.getByRole("status").filter({ hasText: "Ended the session of" })).toBeVisible();
});
