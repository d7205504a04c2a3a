import { ADMIN, PASSWORD, alive, card, expect, open, rows, serve, signIn, test } from "../support/test.js";

const HARBOUR = {
  email: "chief@harbour.example",
  name: "Hanna Harbour",
  role: "administrator",
  organisation: "Harbour",
  password: PASSWORD,
};
const SAILOR = { email: "sailor@harbour.example", name: "Sami Sailor", organisation: "Harbour", password: PASSWORD };
const FOREST = { email: "ranger@forest.example", name: "Fiona Forest", organisation: "Forest", password: PASSWORD };

serve({ users: [HARBOUR, SAILOR, FOREST] });

test("an administrator of one organisation finds nothing of another", async ({ page, another, watch }) => {
  const platform = await another();
  for (const who of [SAILOR, FOREST]) await signIn(await another(), who);
  await signIn(platform, ADMIN);
  await expect(rows(platform)).toHaveCount(3);
  const foreign = await rows(platform).filter({ hasText: FOREST.email }).getByRole("link").first().getAttribute("href");

  await signIn(page, HARBOUR);
  await alive(page);
  await expect(rows(page)).toHaveCount(2);
  await expect(card(page, "Total sessions")).toHaveText("2");
  await expect(card(page, "Active sessions")).toHaveText("2");
  await expect(card(page, "Unique users")).toHaveText("2");
  await expect(page.getByText("Total 2 items")).toBeVisible();
  const named = /forest|fiona|ranger/i;
  expect(await page.content()).not.toMatch(named);
  expect(await (await page.goto("/sessions")).text()).not.toMatch(named);

  for (const words of ["forest", "ranger@", "127.0.0.1", "chrom"]) {
    await open(page, `/sessions?q=${encodeURIComponent(words)}`);
    await expect(page.getByRole("heading", { name: "No session matches" }).or(rows(page).first())).toBeVisible();
    expect(await page.getByRole("main").innerText()).not.toMatch(named);
  }
  await open(page, "/sessions?q=forest");
  await expect(page.getByRole("heading", { name: "No session matches" })).toBeVisible();

  watch.allow(/status of 404/);
  for (const path of [foreign, `${foreign}/end`]) {
    const answer = await page.goto(path);
    expect(answer.status(), path).toBe(404);
    await expect(page.getByRole("heading", { name: "There is nothing here" })).toBeVisible();
    expect(await answer.text(), path).not.toMatch(named);
  }
  const nobody = await page.goto("/sessions/01890a5d-ac96-774b-bcce-b302099a8057");
  expect(nobody.status(), "as what has never been").toBe(404);

  const id = foreign.split("/").at(-1);
  const status = (address, options) =>
    page.evaluate(async ([path, given]) => (await fetch(path, given)).status, [address, options]);
  expect(await status(`/api/v1/sessions/${id}`)).toBe(404);
  expect(await status(`/api/v1/sessions/${id}`, { method: "DELETE" })).toBe(404);
  const list = await page.evaluate(async () => (await fetch("/api/v1/sessions")).text());
  expect(list).toContain(SAILOR.email);
  expect(list).not.toMatch(named);
  await platform.getByRole("link", { name: "Refresh" }).click();
  await expect(rows(platform)).toHaveCount(4);
  await expect(rows(platform).filter({ hasText: FOREST.email })).toContainText("Active");
});

test("everything of an organisation, and then of everybody, ends after a confirmation", async ({ page, another }) => {
  const sailor = await another();
  await signIn(sailor, SAILOR);
  const ranger = await another();
  await signIn(ranger, FOREST);
  await signIn(page, ADMIN, { next: "/organisations" });
  await page.getByRole("link", { name: "Harbour", exact: true }).click();
  await page.getByRole("link", { name: "End all its sessions" }).click();
  await expect(page.getByRole("heading", { name: "End all sessions of Harbour?" })).toBeVisible();
  await page.getByLabel(/Reason/).fill("a stolen laptop");
  await page.getByLabel("I know that this cannot be undone.").check();
  await page.getByRole("button", { name: "End all its sessions" }).click();
  await expect(page.getByRole("heading", { name: "Sessions", exact: true })).toBeVisible();
  await sailor.goto("/account/sessions");
  await expect(sailor.getByText("An administrator ended your session.")).toBeVisible();
  await ranger.goto("/account/sessions");
  await expect(ranger.getByRole("heading", { name: "My sessions" })).toBeVisible();
  await page.goto("/organisations");
  await page.getByRole("link", { name: "End all sessions" }).click();
  await expect(page.getByText("You are among them: you will be signed out too.")).toBeVisible();
  await page.getByLabel("I know that this cannot be undone.").check();
  await page.getByRole("button", { name: "End everything" }).click();
  await expect(page.getByLabel("E-mail")).toBeVisible();
  await ranger.goto("/account/sessions");
  await expect(ranger.getByText("An administrator ended your session.")).toBeVisible();
});
