// What webhooks are sent: whole payloads, as docs/alerts.md shows them, and what clients chose as text only.

import { readFileSync } from "node:fs";
import test from "ava";
import { instantUs } from "../../src/metering/time.ts";
import { messageOf, type Raised } from "../../src/policy/alert-message.ts";

const START = instantUs(1_795_305_600_000_000);
const END = instantUs(1_795_392_000_000_000);

const raised: Raised = {
  ...{
    id: "a-5c1e0f6c1d0b4d0e8a52f3a9c1b7e644",
    at: instantUs(1_795_342_500_000_001),
    event: "critical",
    severity: "critical",
  },
  ...{ topic: "budget", subject: "artist-day", value: "ann", unit: "usd", timezone: "UTC" },
  period: { start: START, end: END },
  text: "budget artist-day (user ann) has used 92 % of its limit: 4.60 of 5.00 USD, until 2026-11-23 00:00 UTC",
  advice: undefined,
  figures: { limit_usd: "5.00", settled_usd: "4.60", held_usd: "0.00" },
};

const sent = (alert: Raised, format: "json" | "slack" | "teams") => JSON.parse(messageOf(alert, format));

const DOCS = readFileSync(new URL("../../docs/alerts.md", import.meta.url), "utf8");

for (const [title, format] of [
  ["JSON", "json"],
  ["Slack", "slack"],
  ["Teams", "teams"],
] as const) {
  test(`the payload for ${title} is the one in docs/alerts.md`, (t) => {
    const [, shown = ""] = new RegExp(`### ${title}\\n[^]*?\`\`\`json\\n([^]*?)\`\`\``).exec(DOCS) ?? [];
    t.deepEqual(sent(raised, format), JSON.parse(shown));
  });
}

test("in Slack a name can mention nobody and link nowhere", (t) => {
  const evil = { ...raised, text: "budget d (user <!channel> <https://evil.example|click> & co)" };
  const { text, blocks } = sent(evil, "slack");
  t.false(`${text} ${blocks[1].text.text}`.includes("<"));
  t.is(blocks[1].text.text, "budget d (user &lt;!channel&gt; &lt;https://evil.example|click&gt; &amp; co)");
  t.true(blocks[1].text.verbatim);
});

test("in Teams it is a run of text, which reads no markdown", (t) => {
  const evil = { ...raised, text: "budget d (user [click](https://evil.example))", advice: "look" };
  const [{ content }] = sent(evil, "teams").attachments;
  t.deepEqual(
    content.body.map(({ type }: { type: string }) => type),
    ["RichTextBlock", "RichTextBlock", "RichTextBlock", "RichTextBlock"],
  );
  t.is(content.body[1].inlines[0].text, "budget d (user [click](https://evil.example))");
  t.is(content.body[2].inlines[0].text, "look");
});
