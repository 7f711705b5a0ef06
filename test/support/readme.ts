// The code blocks of the README: what kind, what they are told to be, and their text.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Block {
  readonly language: string;
  /** "file=policy.yaml", "serve", or nothing. */
  readonly about: string;
  readonly text: string;
}

export const README = new URL("../../README.md", import.meta.url);

export function readmeBlocks(): readonly Block[] {
  const text = readFileSync(README, "utf8");
  return [...text.matchAll(/^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1] ?? "",
    about: match[2] ?? "",
    text: match[3] ?? "",
  }));
}

/** What the demo says, from its start until Ctrl-C ends it. Rejects when it ends by itself. */
export async function demoTranscript(): Promise<string> {
  const command = fileURLToPath(new URL("../../bin/budgetguard.js", import.meta.url));
  const demo = spawn(process.execPath, [command, "demo"], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  demo.stdout.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
    if (!demo.killed && text.includes("Ctrl-C")) demo.kill("SIGINT");
  });
  const [code] = await once(demo, "close");
  if (code !== 0 || !text.includes("Ctrl-C")) throw new Error(`the demo ended with ${code}: ${text}`);
  const [folder] = /\/\S*budgetguard-demo-\w+/.exec(text) ?? [];
  if (folder !== undefined) rmSync(folder, { recursive: true });
  return text;
}

const BEGIN = "<!-- demo -->\n```text\n";
const END = "```\n<!-- /demo -->";

/** The demo's transcript as the README has it. */
export function readmeTranscript(): string {
  const text = readFileSync(README, "utf8");
  const begin = text.indexOf(BEGIN) + BEGIN.length;
  return text.slice(begin, text.indexOf(END, begin));
}

export function withTranscript(readme: string, transcript: string): string {
  const begin = readme.indexOf(BEGIN) + BEGIN.length;
  return readme.slice(0, begin) + transcript + readme.slice(readme.indexOf(END, begin));
}

/** What differs from run to run: paths, ports, times, and amounts that are measured. */
export function withoutFigures(transcript: string): string {
  return transcript
    .replace(/\/\S*budgetguard-demo-\w+/g, "FOLDER")
    .replace(/127\.0\.0\.1:\d+/g, "ADDRESS")
    .replace(/resets \d{4}-\d\d-\d\d \d\d:\d\d \S+/g, "resets SOME-DAY")
    .replace(/\d+(\.\d+)? (ms|s|bytes)\b/g, "N $2")
    .replace(/\d+\.\d{3,} USD/g, "N USD")
    .replace(/has \d+\.\d+ of/g, "has N of");
}
