// Words of the root structure and of worker blocks stand in several files: no two may be the same.
import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';

/** Constants that are no places: sizes, and what is written into places. */
const values = new Set(['ROOT_READY', 'ROOT_NO_OBJECT', 'WORKER_SIZE', 'WORKER_SCRATCH_SIZE']);

it.each(['ROOT_', 'WORKER_'])('%s words have places of their own', async (prefix) => {
  const folder = new URL('./layout/', import.meta.url);
  const places = new Map<number, string>();
  const twice: string[] = [];
  for (const file of readdirSync(folder)) {
    const constants: Record<string, unknown> = await import(new URL(file, folder).href);
    for (const [name, at] of Object.entries(constants)) {
      if (!name.startsWith(prefix) || values.has(name) || typeof at !== 'number') continue;
      const other = places.get(at);
      if (other !== undefined) twice.push(`${at}: ${other}, ${name} (${file})`);
      places.set(at, name);
    }
  }
  expect(places.size).toBeGreaterThan(20);
  expect(twice).toEqual([]);
});
