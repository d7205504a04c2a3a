import { chromium } from "@playwright/test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ADMIN, expect, serve, signIn, test } from "../support/test.js";

serve();

const DAY = 86_400;

// A browser with a profile on disk, so that closing it is what closing a browser is.
async function profile({ launchOptions, baseURL, watch }, work) {
  const folder = await mkdtemp(join(tmpdir(), "rollcall-profile-"));
  const browse = async (visit) => {
    const context = await chromium.launchPersistentContext(folder, { ...launchOptions, baseURL });
    try {
      await watch.follow(context);
      await visit(context.pages()[0] ?? (await context.newPage()), context);
    } finally {
      await context.close();
    }
  };
  try {
    await work(browse);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const sessionCookie = async (context) => (await context.cookies()).find(({ name }) => name === "__Host-rollcall");

test("a browser that is closed and opened again is signed out", async ({ launchOptions, baseURL, watch }) => {
  await profile({ launchOptions, baseURL, watch }, async (browse) => {
    await browse(async (page, context) => {
      await signIn(page, ADMIN);
      expect(await sessionCookie(context)).toMatchObject({
        expires: -1,
        httpOnly: true,
        secure: true,
        sameSite: "Lax",
      });
    });
    await browse(async (page) => {
      await page.goto("/sessions");
      await expect(page).toHaveURL("/sign-in?next=%2Fsessions");
      await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
    });
  });
});

test("with 'Keep me signed in' it is still signed in", async ({ launchOptions, baseURL, watch }) => {
  await profile({ launchOptions, baseURL, watch }, async (browse) => {
    await browse(async (page, context) => {
      await signIn(page, ADMIN, { keep: true });
      const { expires } = await sessionCookie(context);
      const days = (expires - Date.now() / 1_000) / DAY;
      expect(days).toBeGreaterThan(29.9);
      expect(days).toBeLessThanOrEqual(30);
    });
    await browse(async (page) => {
      await page.goto("/sessions");
      await expect(page).toHaveURL("/sessions");
      await expect(page.getByText("Current session")).toBeVisible();
    });
  });
});
