import { ADMIN, FIREFOX_ON_LINUX, expect, fillSignIn, rows, serve, signIn, test } from "../support/test.js";

serve({ settings: ["--demo", "300"] });

test("the page that the server sends holds its rows and cards already", async ({ page }) => {
  await signIn(page, ADMIN);
  const answer = await page.request.get("/sessions?q=cedarhealth");
  expect(answer.status()).toBe(200);
  // The page itself, without the data that waits behind it for the application.
  const html = (await answer.text()).split("</body>")[0];
  expect(html.match(/<tr/g).length, "a head and ten rows").toBe(11);
  // As text; titles hold it once more.
  expect(html.match(/@cedarhealth\.example</g).length).toBe(10);
  expect(html).toMatch(/Total sessions/);
  expect(html).toMatch(/Total \d+ items/);
  const own = await (await page.request.get("/account/sessions")).text();
  expect(own.split("</body>")[0]).toContain("This session");
  const headers = answer.headers();
  expect(headers["cache-control"]).toContain("no-store");
  expect(headers["content-security-policy"]).toContain("default-src 'none'");
});

test("what the server sent stays as it was when the application takes over", async ({ page }) => {
  await signIn(page, ADMIN);
  const sent = await page.request.get("/sessions?sort=created_at&state=ended");
  const before = await page.evaluate(
    (html) => {
      const parsed = new DOMParser().parseFromString(html, "text/html");
      return [...parsed.querySelectorAll("tbody tr")].map((row) => row.cells[1].textContent + row.cells[6].textContent);
    },
    await sent.text(),
  );
  await page.goto("/sessions?sort=created_at&state=ended");
  const requests = [];
  page.on("request", (request) => requests.push(new URL(request.url()).pathname));
  await expect.poll(() => page.evaluate(() => window.rollcallIsAlive === true)).toBe(true);
  const after = await rows(page).evaluateAll((all) =>
    all.map((row) => row.cells[1].textContent + row.cells[6].textContent),
  );
  expect(before).toHaveLength(10);
  expect(after).toEqual(before);
  expect(
    requests.filter((path) => path.startsWith("/rpc/")),
    "what is there is not asked for again",
  ).toEqual([]);
});

test("without WebAssembly every page still works, by forms and links", async ({ page, another, watch }) => {
  // The program that the page starts does not arrive; the browser says so.
  watch.allow(/ERR_FAILED|ERR_BLOCKED|Failed to fetch|preload/);
  await page.route(/\.wasm/, (route) => route.abort());
  await page.goto("/sign-in");
  await fillSignIn(page, { ...ADMIN, password: "not the right password" });
  await expect(page.getByRole("alert")).toContainText("E-mail or password is wrong");
  await fillSignIn(page, ADMIN);
  await expect(page).toHaveURL("/sessions");
  const search = page.getByRole("searchbox", { name: "Search sessions" });
  await search.fill("evergreen");
  await search.press("Enter");
  await expect(page).toHaveURL(/q=evergreen/);
  await expect(rows(page).filter({ hasText: "evergreen" })).toHaveCount(10);
  await page.getByRole("columnheader", { name: "User" }).getByRole("link").click();
  await expect(page.getByRole("columnheader", { name: "User" })).toHaveAttribute("aria-sort", "ascending");
  const other = await another({ userAgent: FIREFOX_ON_LINUX });
  await signIn(other, ADMIN);
  await page.goto("/sessions");
  await page.getByRole("link", { name: "End Firefox on Linux of Administrator" }).click();
  await expect(page.getByRole("heading", { name: "End this session?" })).toBeVisible();
  await page.getByRole("button", { name: "End session" }).click();
  await expect(page.getByRole("main")).toContainText("Ended by");
  await page.getByRole("link", { name: "My sessions" }).click();
  await expect(page.getByText("This session", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/sign-in/);
});
