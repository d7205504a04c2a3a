// What axe finds on a page, and what does not fit the window.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { expect } from "./test.js";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe finds, as lines that say where; and whether the page itself scrolls sideways. */
export async function inspect(page, where) {
  await page.evaluate(AXE);
  const { found, passes } = await page.evaluate(async () => {
    const { violations, passes } = await window.axe.run(document);
    const found = violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, any, html }) => `${id}: ${target.join(" ")} ${any[0]?.message ?? ""} ${html.slice(0, 120)}`),
    );
    return { found, passes: passes.map(({ id }) => id) };
  });
  // A page that is not there yet has nothing to find.
  expect.soft(passes, `what axe looked at on ${where}`).toContain("color-contrast");
  expect.soft(found, `axe on ${where}`).toEqual([]);
  const wide = await page.evaluate(() => {
    const { scrollWidth } = document.scrollingElement;
    if (scrollWidth <= window.innerWidth) return [];
    const beyond = [...document.body.querySelectorAll("*")].filter(
      (each) => each.getBoundingClientRect().right > window.innerWidth,
    );
    return [`${scrollWidth} px`, ...beyond.slice(0, 5).map((each) => each.outerHTML.slice(0, 100))];
  });
  expect.soft(wide, `${where} is wider than the window`).toEqual([]);
  const cut = await page.evaluate(() =>
    [...document.querySelectorAll(".panel :is(input, select, button, label, legend, .button)")]
      .filter((each) => {
        const { right } = each.closest(".panel").getBoundingClientRect();
        return !each.closest(".scroll") && each.getBoundingClientRect().right > right + 1;
      })
      .map((each) => each.outerHTML.slice(0, 100)),
  );
  expect.soft(cut, `what is cut off on ${where}`).toEqual([]);
}
