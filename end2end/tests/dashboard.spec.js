import { ADMIN, alive, card, expect, open, rows, serve, signIn, tabTo, test } from "../support/test.js";

serve({ settings: ["--demo", "10000"] });

const search = (page) => page.getByRole("searchbox", { name: "Search sessions" });
const cell = (row, number) => row.getByRole("cell").nth(number);
const header = (page, name) => page.getByRole("columnheader", { name });
// The first column holds the boxes.
const COLUMN = { user: 1, name: 2, ip: 3, browser: 4, status: 5, created: 6, activity: 7, duration: 8 };

const texts = async (page, column) => Promise.all((await rows(page).all()).map((row) => cell(row, column).innerText()));
const moments = async (page, column) =>
  Promise.all(
    (await rows(page).all()).map(async (row) =>
      Date.parse(await cell(row, column).getByRole("time").getAttribute("datetime")),
    ),
  );

test.beforeEach(async ({ page }) => {
  await signIn(page, ADMIN);
  await alive(page);
  await expect(rows(page)).toHaveCount(10);
});

test("the cards count everything, whatever is searched for", async ({ page }) => {
  const total = await card(page, "Total sessions").innerText();
  expect(Number(total.replaceAll(",", ""))).toBeGreaterThan(10_000);
  await search(page).pressSequentially("alderfinch");
  await expect(page).toHaveURL("/sessions?q=alderfinch");
  await expect(rows(page).filter({ hasText: "alderfinch" })).toHaveCount(10);
  await expect(card(page, "Total sessions")).toHaveText(total);
});

test("a part of an e-mail finds its users as it is typed, in any letter case", async ({ page }) => {
  await open(page, "/sessions?kind=console&page=7");
  const someone = /\S+@\S+\.example/.exec(await cell(rows(page).nth(4), COLUMN.user).innerText())[0];
  const part = someone.slice(1, -4);
  await search(page).pressSequentially(part.toUpperCase(), { delay: 20 });
  await expect.poll(() => new URL(page.url()).searchParams.get("q")).toBe(part.toUpperCase());
  expect(new URL(page.url()).searchParams.get("page")).toBeNull();
  await expect(rows(page).filter({ hasNotText: part })).toHaveCount(0);
  await expect(rows(page).filter({ hasText: someone })).not.toHaveCount(0);
});

test("a part of an IPv6 address finds it, in any letter case", async ({ page }) => {
  await search(page).pressSequentially("2001:DB8:");
  await expect(page).toHaveURL(/q=2001%3A[dD][bB]8%3A/i);
  await expect(rows(page).filter({ hasText: "2001:db8:" })).toHaveCount(10);
  const address = await cell(rows(page).nth(5), COLUMN.ip).innerText();
  const part = address.slice("2001:db8:".length);
  await search(page).fill(part.toUpperCase());
  await expect(rows(page)).toHaveCount(1);
  await expect(cell(rows(page).first(), COLUMN.ip)).toHaveText(address);
  await expect(page.getByText("Total 1 item", { exact: true })).toBeVisible();
});

test("a part of a session name finds it, in any letter case", async ({ page }) => {
  await search(page).pressSequentially("cEPTion dES");
  await expect(rows(page).filter({ hasText: "Reception desk" })).toHaveCount(10);
});

test("what nobody has is said, with a way back to all", async ({ page }) => {
  await search(page).fill("nobody has this");
  await expect(page.getByRole("heading", { name: "No session matches" })).toBeVisible();
  await page.getByRole("link", { name: "Clear search and filters" }).click();
  await expect(rows(page)).toHaveCount(10);
  await expect(page).toHaveURL("/sessions");
  await expect(search(page)).toHaveValue("");
});

test("an order chosen while a search is on its way keeps the search", async ({ page }) => {
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  await page.route("**/rpc/list_sessions*", async (route) => {
    await answered;
    await route.continue();
  });
  await search(page).fill("bluewater");
  await expect(page).toHaveURL("/sessions?q=bluewater");
  await header(page, "Duration").getByRole("link").click();
  await expect(page).toHaveURL(/q=bluewater.*sort=-duration/);
  answer();
  await expect(header(page, "Duration")).toHaveAttribute("aria-sort", "descending");
  await expect(rows(page).filter({ hasText: "bluewater" })).toHaveCount(10);
});

test("the next page, asked for while another order is on its way, is that of the order", async ({ page }) => {
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  await page.route("**/rpc/list_sessions*", async (route) => {
    await answered;
    await route.continue();
  });
  await header(page, "IP").getByRole("link").click();
  await expect(page).toHaveURL("/sessions?sort=ip");
  await page.getByRole("link", { name: "Next page" }).click();
  await expect(page).toHaveURL("/sessions?sort=ip&page=2");
  answer();
  await expect(page.getByRole("link", { name: "Page 2", exact: true })).toHaveAttribute("aria-current", "page");
});

test("back and forward go through searches, orders and sessions, and the field follows", async ({ page }) => {
  await search(page).fill("bluewater");
  await expect(page).toHaveURL("/sessions?q=bluewater");
  await header(page, "Duration").getByRole("link").click();
  await expect(header(page, "Duration")).toHaveAttribute("aria-sort", "descending");
  await page.getByRole("link", { name: "Next page" }).click();
  await expect(page).toHaveURL(/page=2/);
  await rows(page).first().getByRole("link").first().click();
  await expect(page.getByText("User agent")).toBeVisible();
  await page.goBack();
  await expect(page).toHaveURL(/q=bluewater.*page=2/);
  await expect(search(page)).toHaveValue("bluewater");
  await expect(header(page, "Duration")).toHaveAttribute("aria-sort", "descending");
  await page.goBack();
  await page.goBack();
  await expect(page).toHaveURL("/sessions?q=bluewater");
  await expect(header(page, "Created")).toHaveAttribute("aria-sort", "descending");
  await page.goForward();
  await expect(header(page, "Duration")).toHaveAttribute("aria-sort", "descending");
  await expect(rows(page).filter({ hasText: "bluewater" })).toHaveCount(10);
});

test("state and kind narrow the list and stay in the address", async ({ page }) => {
  const states = page.getByRole("group", { name: "State" });
  await states.getByRole("link", { name: "Ended" }).click();
  await expect(page).toHaveURL("/sessions?state=ended");
  await expect(rows(page).filter({ has: page.getByText("Ended", { exact: true }) })).toHaveCount(10);
  await page.getByLabel("Kind").selectOption("api");
  await expect(page).toHaveURL(/kind=api/);
  await expect(page).toHaveURL(/state=ended/);
  await expect
    .poll(async () => (await texts(page, COLUMN.name)).every((text) => /\bapi$/.test(text.trim())))
    .toBe(true);
  await page.reload();
  await alive(page);
  await expect(page.getByLabel("Kind")).toHaveValue("api");
  await expect(states.locator("[aria-current]"), "the one state that is chosen").toHaveText(["Ended"]);
  await states.getByRole("link", { name: "Active" }).click();
  await expect(rows(page).filter({ has: page.getByText("Active", { exact: true }) })).toHaveCount(10);
});

const columns = [
  ["User", COLUMN.user, "ascending"],
  ["Session name", COLUMN.name, "ascending"],
  ["IP address", COLUMN.ip, "ascending"],
  ["Browser and system", COLUMN.browser, "ascending"],
  ["Status", COLUMN.status, "ascending"],
  ["Created", COLUMN.created, "ascending"],
  ["Last activity", COLUMN.activity, "descending"],
  ["Duration", COLUMN.duration, "descending"],
];

for (const [name, column, first] of columns) {
  test(`the list is sorted by ${name.toLowerCase()}, both ways`, async ({ page }) => {
    const second = first === "ascending" ? "descending" : "ascending";
    // The newest come first to start with; each order leaves the other columns without one.
    await expect(header(page, "Created")).toHaveAttribute("aria-sort", "descending");
    const seen = {};
    for (const order of [first, second]) {
      const answered = page.waitForResponse(/list_sessions/);
      await header(page, name).getByRole("link").click();
      await answered;
      await expect(header(page, name)).toHaveAttribute("aria-sort", order);
      await expect(page.locator("[aria-sort]")).toHaveCount(1);
      await expect(page.getByRole("region", { name: "List of sessions" })).toHaveAttribute("aria-busy", "false");
      const compare =
        column === COLUMN.created || column === COLUMN.activity
          ? await moments(page, column)
          : column === COLUMN.duration
            ? (await texts(page, column)).map((text) => Number(text.replace(/[^\d]/g, "")))
            : await texts(page, column);
      seen[order] = compare;
      if (column >= COLUMN.created) {
        const sorted = [...compare].sort((one, other) => one - other);
        expect(compare).toEqual(order === "ascending" ? sorted : sorted.reverse());
      }
    }
    if (column === COLUMN.status) {
      const states = [seen.ascending, seen.descending].map(
        (list) => new Set(list.map((text) => text.split("\n")[0].trim())),
      );
      expect(states.every((set) => set.size === 1)).toBe(true);
      expect(states[0]).not.toEqual(states[1]);
    } else {
      expect(seen.ascending[0] === seen.descending[0], "the two ends of the list").toBe(false);
    }
    if (column === COLUMN.user) {
      const mails = seen.ascending.map((text) => /\S+@\S+/.exec(text)[0]);
      expect(mails).toEqual([...mails].sort());
    }
  });
}

test("the last page, the page size and the jump lead where they say", async ({ page }) => {
  const total = Number((await page.getByText(/^Total [\d,]+ items$/).innerText()).replace(/[^\d]/g, ""));
  expect(total).toBeGreaterThan(10_000);
  const last = Math.ceil(total / 10);
  await page.getByRole("link", { name: "Last page" }).click();
  await expect(page).toHaveURL(`/sessions?page=${last}`);
  await expect(page.getByRole("link", { name: `Page ${last.toLocaleString("en")}` })).toHaveAttribute(
    "aria-current",
    "page",
  );
  await expect(page.getByRole("link", { name: "Next page" })).toHaveCount(0);
  await expect(rows(page)).toHaveCount(total - (last - 1) * 10);
  await page.getByRole("link", { name: "First page" }).click();
  await expect(page).toHaveURL("/sessions");
  await page.getByLabel("Rows per page").selectOption("50");
  await expect(page).toHaveURL("/sessions?page_size=50");
  await expect(rows(page)).toHaveCount(50);
  await page.getByLabel("Go to page").fill("7");
  await page.getByRole("button", { name: "Go", exact: true }).click();
  await expect(page).toHaveURL(/page=7\b/);
  await expect(page).toHaveURL(/page_size=50/);
  await expect(page.getByRole("link", { name: "Page 7", exact: true })).toHaveAttribute("aria-current", "page");
  await expect(rows(page)).toHaveCount(50);
});

test("a reload keeps the view, and a link shows another administrator the same", async ({ page, another }) => {
  const link = "/sessions?q=cedar&state=active&kind=console&sort=duration&page=3&page_size=20";
  await open(page, link);
  await expect(rows(page)).toHaveCount(20);
  const seen = await texts(page, COLUMN.user);
  await page.reload();
  await alive(page);
  expect(await texts(page, COLUMN.user)).toEqual(seen);
  await expect(search(page)).toHaveValue("cedar");
  await expect(page.getByLabel("Kind")).toHaveValue("console");
  await expect(page.getByLabel("Rows per page")).toHaveValue("20");

  const other = await another();
  await signIn(other, ADMIN, { next: link });
  await expect(other).toHaveURL(link);
  expect(await texts(other, COLUMN.user)).toEqual(seen);
  await expect(search(other)).toHaveValue("cedar");
});

test("the keyboard alone finds, sorts, opens and ends a session", async ({ page }) => {
  const { keyboard } = page;
  await keyboard.press("?");
  await expect(page.getByRole("region", { name: "Shortcuts" })).toBeVisible();
  await keyboard.press("Escape");
  await expect(page.getByRole("region", { name: "Shortcuts" })).toBeHidden();

  await keyboard.press("/");
  await expect(search(page)).toBeFocused();
  await keyboard.type("delta");
  await expect(page).toHaveURL("/sessions?q=delta");
  await expect(rows(page).filter({ hasText: "delta" })).toHaveCount(10);
  await expect(search(page)).toBeFocused();

  await tabTo(page, header(page, "Duration").getByRole("link"));
  await keyboard.press("Enter");
  await expect(header(page, "Duration")).toHaveAttribute("aria-sort", "descending");
  await expect(header(page, "Duration").getByRole("link"), "the focus stays where it was").toBeFocused();
  await tabTo(page, page.getByRole("link", { name: "Last page" }), 120);
  await keyboard.press("Enter");
  await expect(page).toHaveURL(/page=\d+/);
  await expect(rows(page).first()).toContainText("delta");

  await open(page, "/sessions?q=delta&state=active&kind=console&sort=created_at");
  await keyboard.press("/");
  await keyboard.press("ArrowDown");
  const link = (number) => rows(page).nth(number).getByRole("link").first();
  await expect(link(0)).toBeFocused();
  await keyboard.press("ArrowDown");
  await keyboard.press("ArrowDown");
  await expect(link(2)).toBeFocused();
  await keyboard.press("ArrowUp");
  await expect(link(1)).toBeFocused();
  const who = /\S+@\S+/.exec(await cell(rows(page).nth(1), COLUMN.user).innerText())[0];
  await keyboard.press("Enter");
  await expect(page).toHaveURL(/\/sessions\/[0-9a-f-]{36}$/);
  await expect(page.getByText(who)).toBeVisible();

  await tabTo(page, page.getByRole("link", { name: "End session" }));
  await keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "End this session?" })).toBeVisible();
  await tabTo(page, page.getByRole("link", { name: "Cancel" }));
  await keyboard.press("Enter");
  await expect(page.getByText(who)).toBeVisible();

  await open(page, "/sessions?q=delta&state=active&kind=console&sort=created_at");
  const end = rows(page).filter({ hasText: who }).getByRole("link", { name: /^End / }).first();
  const dialog = page.getByRole("dialog");
  await tabTo(page, end, 80);
  await keyboard.press("Enter");
  await expect(dialog.getByRole("button", { name: "Cancel" })).toBeFocused();
  await keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(end).toBeFocused();
  await keyboard.press("Enter");
  await expect(dialog).toBeVisible();
  await tabTo(page, dialog.getByRole("button", { name: "End session" }), 10);
  await keyboard.press("Enter");
  await expect(page.getByRole("status").filter({ hasText: "Ended the session of" })).toBeVisible();
  await expect(search(page)).toHaveValue("delta");
  await expect(rows(page).filter({ hasText: "delta" })).toHaveCount(10);
});
