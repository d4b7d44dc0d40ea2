/** The heap as a picture: a row a slab, a square an object, live ones in the colour of their allocator. */
import { readHeap } from '../runtime/allocators/heap.ts';
import { allocatorsOf } from '../runtime/allocators/store.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { toJson } from './output.ts';

const colors = [
  '#4c78a8',
  '#f58518',
  '#54a24b',
  '#e45756',
  '#72b7b2',
  '#b279a2',
  '#ff9da6',
  '#9d755d',
  '#bab0ac',
  '#eeca3b',
];
const CELL = 6;
const PER_ROW = 128;
const MARGIN = 150;

/** By the ending of the file: .svg, or .json (sluice.heap/1). */
export function heapMap(runtime: Runtime, file: string): string {
  const names = new Map(
    allocatorsOf(runtime.plane)
      .all()
      .map(({ id, name }) => [id, name]),
  );
  const slabs = readHeap(runtime.plane);
  if (!file.endsWith('.svg'))
    return `${toJson({
      schema: 'sluice.heap/1',
      allocators: [...names].map(([id, name]) => ({ id, name })),
      slabs: slabs.map(({ address, bytes, objectSize, reserved, live }) => ({
        address,
        bytes,
        objectSize,
        reserved,
        live,
      })),
    })}\n`;
  const ids = [...new Set(slabs.flatMap(({ live }) => live.filter((id) => id !== 0)))].sort((a, b) => a - b);
  const colorOf = (id: number) => colors[ids.indexOf(id) % colors.length]!;
  const parts: string[] = [];
  let y = 20 + ids.length * 16;
  for (const [i, id] of ids.entries())
    parts.push(
      `<rect x="10" y="${10 + i * 16}" width="10" height="10" fill="${colorOf(id)}"/><text x="26" y="${19 + i * 16}">${escaped(names.get(id) ?? `allocator ${id}`)}</text>`,
    );
  for (const { address, objectSize, reserved, live } of slabs) {
    const used = live.filter((id) => id !== 0).length;
    parts.push(
      `<text x="10" y="${y + CELL + 3}">0x${address.toString(16)} ${objectSize} B${reserved ? ' reserved' : ''} ${used}/${live.length}</text>`,
    );
    for (const [i, id] of live.entries()) {
      const x = MARGIN + 40 + (i % PER_ROW) * CELL;
      const at = y + Math.floor(i / PER_ROW) * CELL;
      parts.push(
        `<rect x="${x}" y="${at}" width="${CELL - 1}" height="${CELL - 1}" fill="${id === 0 ? '#e8e8e8' : colorOf(id)}"/>`,
      );
    }
    y += Math.max(14, Math.ceil(live.length / PER_ROW) * CELL + 6);
  }
  const width = MARGIN + 60 + PER_ROW * CELL;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + 10}" font-family="monospace" font-size="10"><rect width="100%" height="100%" fill="white"/>${parts.join('')}</svg>\n`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
