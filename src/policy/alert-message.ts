// An alert as the body of a webhook: our own JSON, Slack's text and blocks, a Teams adaptive card. What
// clients have chosen (a user's name) stands in it as text only: it can mention nobody and link nowhere.

import { FOREVER, formatInstant, type Instant } from "../metering/time.ts";
import type { Alert } from "./alert.ts";
import type { Webhook } from "./settings.ts";

/** An alert that was raised. */
export interface Raised extends Alert {
  readonly id: string;
  readonly at: Instant;
}

export function messageOf(alert: Raised, format: Webhook["format"]): string {
  switch (format) {
    case "json":
      return JSON.stringify(jsonMessage(alert));
    case "slack":
      return JSON.stringify(slackMessage(alert));
    case "teams":
      return JSON.stringify(teamsMessage(alert));
  }
}

function jsonMessage(alert: Raised) {
  const { start, end } = alert.period;
  return {
    version: 1,
    id: alert.id,
    at: formatInstant(alert.at),
    event: alert.event,
    severity: alert.severity,
    topic: alert.topic,
    subject: alert.subject,
    value: alert.value ?? null,
    unit: alert.unit ?? null,
    text: alert.text,
    advice: alert.advice ?? null,
    figures: alert.figures,
    period: {
      starts_at: start === 0 ? null : formatInstant(start),
      ends_at: end === FOREVER ? null : formatInstant(end),
      timezone: alert.timezone,
    },
  };
}

function slackMessage(alert: Raised) {
  const title = titleOf(alert);
  const lines = [alert.text, ...(alert.advice === undefined ? [] : [alert.advice])].map(escaped);
  return {
    text: escaped(`${title}: ${alert.text}`),
    blocks: [
      { type: "header", text: { type: "plain_text", text: cut(title, 150) } },
      { type: "section", text: { type: "mrkdwn", text: cut(lines.join("\n"), 3000), verbatim: true } },
      { type: "context", elements: [{ type: "plain_text", text: cut(footOf(alert), 2000) }] },
    ],
  };
}

/** Slack reads these three as the beginning of a mention, a channel or a link. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Runs of text, because a TextBlock would read markdown in it. */
function teamsMessage(alert: Raised) {
  const paragraph = (text: string, style: object) => ({
    type: "RichTextBlock",
    inlines: [{ type: "TextRun", text, ...style }],
  });
  const color = alert.severity === "critical" ? "Attention" : "Warning";
  const card = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    body: [
      paragraph(titleOf(alert), { weight: "Bolder", size: "Medium", color }),
      paragraph(alert.text, {}),
      ...(alert.advice === undefined ? [] : [paragraph(alert.advice, {})]),
      paragraph(footOf(alert), { isSubtle: true, size: "Small" }),
    ],
  };
  return {
    type: "message",
    summary: cut(alert.text, 1000),
    attachments: [
      { contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content: card },
    ],
  };
}

function titleOf({ event, topic, subject }: Raised): string {
  return `BudgetGuard ${event}: ${topic} ${subject}`;
}

function footOf({ at, id }: Raised): string {
  return `${formatInstant(at)} ${id}`;
}

/** By what the receivers allow; none of ours comes near it. */
function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
