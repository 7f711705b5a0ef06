// Reads what is asked from the bodies of the language routes: chat messages, and prompts or inputs.

import { BadRequest, illTyped, type LanguageBody, missing } from "./nim-language.ts";
import { isObject } from "./nim-route.ts";

/** The text of all messages; images and other parts count nothing here. */
export function readMessages({ fields }: LanguageBody): string {
  const { messages } = fields;
  if (messages === undefined) throw missing("messages");
  if (!Array.isArray(messages)) throw illTyped("messages", "an array of objects");
  if (messages.length === 0) {
    throw new BadRequest(400, "empty_array", "messages", "Invalid 'messages': it must not be empty.");
  }
  return messages.map(readMessage).join("\n");
}

function readMessage(message: unknown, index: number): string {
  const place = `messages[${index}]`;
  if (!isObject(message)) throw illTyped(place, "an object");
  if (typeof message.role !== "string") throw missing(`${place}.role`);
  const { content } = message;
  if (content === undefined || content === null) return "";
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw illTyped(`${place}.content`, "a string or an array of parts");
  return content.map((part) => (isObject(part) && typeof part.text === "string" ? part.text : "")).join(" ");
}

/** One string or several, under the key `param`. */
export function readPrompts({ fields }: LanguageBody, param: "prompt" | "input"): readonly string[] {
  const value = fields[param];
  if (value === undefined) throw missing(param);
  const prompts = Array.isArray(value) ? value : [value];
  if (prompts.length === 0 || !prompts.every((prompt) => typeof prompt === "string")) {
    throw illTyped(param, "a string or an array of strings");
  }
  return prompts;
}
