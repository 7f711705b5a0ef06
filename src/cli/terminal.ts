// What a command sees of the process: two screens, the environment, where and in which time zone it runs.
// Tests hand in their own.

import type { Writable } from "node:stream";
import type { WriteStream } from "node:tty";
import { styleText } from "node:util";

export interface Terminal {
  readonly out: Screen;
  readonly err: Screen;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** IANA name. */
  readonly timeZone: string;
}

export interface Screen {
  readonly stream: Writable;
  /** In columns; Infinity for a pipe or a file, where nothing has to fit. */
  readonly width: number;
  readonly hasColour: boolean;
}

export type Style = "red" | "yellow" | "green" | "bold" | "dim";

const UNKNOWN_WIDTH = 80;

export function terminalOf(process: NodeJS.Process): Terminal {
  return {
    out: screenOf(process.stdout),
    err: screenOf(process.stderr),
    environment: process.env,
    cwd: process.cwd(),
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  };
}

function screenOf(stream: WriteStream): Screen {
  if (!stream.isTTY) return { stream, width: Number.POSITIVE_INFINITY, hasColour: false };
  // hasColors() respects NO_COLOR and TERM=dumb.
  return { stream, width: stream.columns || UNKNOWN_WIDTH, hasColour: stream.hasColors() };
}

export function say(screen: Screen, text: string): void {
  screen.stream.write(`${text}\n`);
}

export function paint(screen: Screen, style: Style, text: string): string {
  return screen.hasColour && text !== "" ? styleText(style, text, { validateStream: false }) : text;
}

export function sayJson(screen: Screen, value: unknown): void {
  say(screen, JSON.stringify(value, null, 2));
}
