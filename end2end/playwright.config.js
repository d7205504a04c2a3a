import { defineConfig } from "@playwright/test";

// One worker: every server and every browser shares the machine with the build. No retries: a test that
// passes only sometimes is a failure.
export default defineConfig({
  testDir: "tests",
  workers: 1,
  retries: 0,
  forbidOnly: true,
  reporter: "line",
  // Long enough for two busy cores; nothing waits longer than it has to.
  timeout: 120_000,
  expect: { timeout: 20_000 },
  use: {
    browserName: "chromium",
    locale: "en-GB",
    viewport: { width: 1280, height: 900 },
    actionTimeout: 20_000,
    navigationTimeout: 40_000,
    launchOptions: {
      executablePath: process.env.CHROMIUM,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
