// Tables that fit the screen: columns of words wrap, amounts never do, and what cannot fit side by side is
// written one below the other. A column that is empty in every row is left out.

import { widthOf, wrap } from "./printable.ts";
import { paint, type Screen, type Style } from "./terminal.ts";

export interface Column {
  readonly title: string;
  /** "point": amounts below each other by their decimal points. Default left. */
  readonly align?: "left" | "right" | "point";
  /** Words that may take several lines on a narrow screen. */
  readonly wraps?: true;
}

export type Cell = string | { readonly text: string; readonly style: Style };

const GAP = "  ";
/** A column of words is made no narrower than its longest word; only longer ones than this are broken. */
const LONGEST_WORD = 30;

/** Without a line end after the last line. `rows` hold one cell for each column. */
export function table(
  screen: Screen,
  allColumns: readonly Column[],
  allRows: readonly (readonly Cell[])[],
): string {
  const shown = allColumns.map((_, at) => allRows.some((row) => textOf(row[at]) !== ""));
  const columns = allColumns.filter((_, at) => shown[at]);
  const rows = allRows.map((row) => row.filter((_, at) => shown[at]));
  const aligned = columns.map(({ align }, at) => {
    const texts = rows.map((row) => textOf(row[at]));
    return align === "point" ? atPoint(texts) : texts;
  });
  const widths = fittedWidths(screen.width, columns, aligned);
  if (widths === undefined) return stacked(screen, columns, rows);
  const titles = columns.map(({ title }, at) => padded(title, columns[at], widths[at] ?? 0));
  const lines = rows.flatMap((row, index) =>
    rowLines({ screen, columns, widths, row, texts: aligned.map((texts) => texts[index] ?? "") }),
  );
  return [paint(screen, "bold", titles.join(GAP).trimEnd()), ...lines].join("\n");
}

function fittedWidths(
  width: number,
  columns: readonly Column[],
  texts: readonly (readonly string[])[],
): readonly number[] | undefined {
  const widest = (at: number, split: (text: string) => readonly string[]) =>
    Math.max(...[columns[at]?.title ?? "", ...(texts[at] ?? [])].flatMap(split).map(widthOf));
  const widths = columns.map((_, at) => widest(at, (text) => [text]));
  const least = columns.map(({ wraps }, at) =>
    wraps
      ? Math.min(
          LONGEST_WORD,
          widest(at, (text) => text.split(" ")),
        )
      : Number.POSITIVE_INFINITY,
  );
  const gaps = GAP.length * (columns.length - 1);
  for (let excess = widths.reduce((a, b) => a + b, gaps) - width; excess > 0; excess -= 1) {
    const shrinking = widths.map((each, at) => (each > (least[at] ?? 0) ? each : 0));
    const most = Math.max(...shrinking);
    if (most === 0) return undefined;
    widths[shrinking.indexOf(most)] = most - 1;
  }
  return widths;
}

interface RowToDraw {
  readonly screen: Screen;
  readonly columns: readonly Column[];
  readonly widths: readonly number[];
  readonly row: readonly Cell[];
  readonly texts: readonly string[];
}

function rowLines({ screen, columns, widths, row, texts }: RowToDraw): readonly string[] {
  const cells = texts.map((text, at) => (columns[at]?.wraps ? wrap(text, widths[at] ?? 0) : [text]));
  const height = Math.max(...cells.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) =>
    cells
      .map((lines, at) => {
        const text = lines[line] ?? "";
        return padded(text, columns[at], widths[at] ?? 0, styled(screen, row[at], text));
      })
      .join(GAP)
      .trimEnd(),
  );
}

/** `painted` is `text` with its colour, which takes no room. */
function padded(text: string, column: Column | undefined, width: number, painted = text): string {
  const room = " ".repeat(Math.max(0, width - widthOf(text)));
  return column?.align === undefined || column.align === "left" ? painted + room : room + painted;
}

/** Padded on the right, so that decimal points meet when the whole is put to the right. */
function atPoint(texts: readonly string[]): readonly string[] {
  const behind = (text: string) => (text.includes(".") ? text.length - text.indexOf(".") : 0);
  const most = Math.max(0, ...texts.map(behind));
  return texts.map((text) => (text === "" ? "" : text + " ".repeat(most - behind(text))));
}

function stacked(screen: Screen, columns: readonly Column[], rows: readonly (readonly Cell[])[]): string {
  const widest = Math.max(...columns.map(({ title }) => widthOf(title)));
  const room = Math.max(1, screen.width - widest - GAP.length);
  const blocks = rows.map((row) =>
    columns.flatMap(({ title, wraps }, at) => {
      const text = textOf(row[at]);
      if (text === "") return [];
      const lines = wraps ? wrap(text, room) : [text];
      return lines.map((line, index) => {
        const head = padded(index === 0 ? title : "", undefined, widest);
        return `${paint(screen, "bold", head)}${GAP}${styled(screen, row[at], line)}`.trimEnd();
      });
    }),
  );
  return blocks.map((lines) => lines.join("\n")).join("\n\n");
}

function styled(screen: Screen, cell: Cell | undefined, text: string): string {
  return cell === undefined || typeof cell === "string" ? text : paint(screen, cell.style, text);
}

function textOf(cell: Cell | undefined): string {
  if (cell === undefined) return "";
  return typeof cell === "string" ? cell : cell.text;
}
