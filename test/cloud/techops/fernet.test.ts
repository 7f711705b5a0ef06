import test, { type ExecutionContext } from "ava";
import { DEFAULT_STUDIO_KEY, type Opened, openToken } from "../../../src/cloud/techops/fernet.ts";
import { BACKEND, encrypted, techopsJson } from "../../support/techops-files.ts";

const REAL = (techopsJson(BACKEND).credentials as { encrypted_data: string }).encrypted_data;

async function check(t: ExecutionContext, token: string, key: string, expected: Opened["kind"]) {
  t.is((await openToken(token, key)).kind, expected);
}

test("A60: what the real tool encrypted opens with its default key, to the very credentials", async (t) => {
  const opened = await openToken(REAL, DEFAULT_STUDIO_KEY);
  if (opened.kind !== "opened") return t.fail(opened.kind);
  t.deepEqual(JSON.parse(opened.text.open()), techopsJson("dummy_credentials.json"));
});

test("a token that was encoded only once opens too", async (t) => {
  await check(t, Buffer.from(REAL, "base64url").toString(), DEFAULT_STUDIO_KEY, "opened");
});

test("another key opens nothing", async (t) => {
  await check(t, REAL, "another", "not_this_key");
  await check(t, encrypted("{}", "another"), DEFAULT_STUDIO_KEY, "not_this_key");
  await check(t, encrypted("{}", "another"), "another", "opened");
});

test("a token with any bit turned is not opened", async (t) => {
  const bytes = Buffer.from(Buffer.from(REAL, "base64url").toString(), "base64url");
  for (const at of [8, 12, 30, bytes.length - 40, bytes.length - 1]) {
    const turned = Buffer.from(bytes);
    turned[at] = (turned[at] ?? 0) ^ 1;
    await check(
      t,
      Buffer.from(turned.toString("base64url")).toString("base64url"),
      DEFAULT_STUDIO_KEY,
      "not_this_key",
    );
  }
});

test("what is cut short or no token at all is told to be broken", async (t) => {
  const token = Buffer.from(REAL, "base64url").toString();
  for (const broken of [
    "",
    "gAAAA",
    "not a token",
    "%%%",
    token.slice(0, 100),
    token.slice(0, -9),
    REAL.slice(0, 300),
  ]) {
    await check(t, broken, DEFAULT_STUDIO_KEY, "broken");
  }
});
