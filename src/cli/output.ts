/** What verbs print: the result on stdout, as text or as one JSON document; colours only on a terminal. */
import pc from 'picocolors';

export interface Output {
  readonly json: boolean;
  /** One line of the result; dropped under --json. */
  line(text?: string): void;
  /** The whole result under --json; dropped without. */
  document(value: unknown): void;
  /** For people, on stderr; never part of the result. */
  note(text: string): void;
  readonly colors: ReturnType<typeof pc.createColors>;
}

export function createOutput(json: boolean): Output {
  const terminal = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined;
  const forced = process.env['FORCE_COLOR'] !== undefined && process.env['FORCE_COLOR'] !== '0';
  return {
    json,
    colors: pc.createColors(!json && (terminal || forced)),
    line(text = '') {
      if (!json) process.stdout.write(`${text}\n`);
    },
    document(value) {
      if (json) process.stdout.write(`${toJson(value)}\n`);
    },
    note(text) {
      process.stderr.write(`${text}\n`);
    },
  };
}

/** 64-bit integers as decimal strings, bytes as hex, maps as objects. */
export function toJson(value: unknown): string {
  return JSON.stringify(
    value,
    (_key, part: unknown) => {
      if (typeof part === 'bigint') return part.toString();
      if (part instanceof Uint8Array) return toHex(part);
      if (part instanceof Map) return Object.fromEntries(part);
      return part;
    },
    2,
  );
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Columns aligned by their longest cell; numbers (and what looks like one) to the right. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  const numeric = widths.map((_, i) => rows.slice(1).every((row) => /^[-+]?[\d.,]*( ns| %|x)?$/.test(row[i] ?? '')));
  return rows.map((row) =>
    row
      .map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}
