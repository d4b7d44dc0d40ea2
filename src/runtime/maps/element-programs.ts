/** Programs that elements of maps lead to (prog arrays, devmaps, cpumaps): each is held by its element, until that has another, is deleted, or the map goes. */
import { runtimeOf } from '../runtime.ts';
import type { PlaneMap } from './plane-map.ts';

interface Element {
  readonly key: Uint8Array;
  readonly entry: number;
}

/** By the map's address: elements by key. */
const held = new WeakMap<WebAssembly.Memory, Map<number, Map<string, Element>>>();

/** The element at `key` has the program at `entry` of the function table from now on; 0: none. */
export function setElementProgram(map: PlaneMap, key: Uint8Array, entry: number): void {
  const runtime = runtimeOf(map.plane);
  if (runtime === undefined) return;
  const elements = elementsOf(map);
  const name = key.join();
  const before = elements.get(name);
  if (before === undefined && entry === 0) return;
  elements.delete(name);
  if (entry !== 0 && runtime.lives.hold(entry)) elements.set(name, { key: key.slice(), entry });
  if (before !== undefined) runtime.lives.release(before.entry);
}

/** Deletes the elements that have programs. */
export function deleteElementPrograms(map: PlaneMap): void {
  for (const { key } of [...(held.get(map.plane.memory)?.get(map.address)?.values() ?? [])]) map.delete(key);
}

function dropElementPrograms(map: PlaneMap): void {
  const maps = held.get(map.plane.memory);
  const elements = maps?.get(map.address);
  maps?.delete(map.address);
  for (const { entry } of elements?.values() ?? []) runtimeOf(map.plane)?.lives.release(entry);
}

function elementsOf(map: PlaneMap): Map<string, Element> {
  const { memory } = map.plane;
  let maps = held.get(memory);
  if (maps === undefined) {
    maps = new Map();
    held.set(memory, maps);
  }
  let elements = maps.get(map.address);
  if (elements === undefined) {
    elements = new Map();
    maps.set(map.address, elements);
    map.onRelease(() => dropElementPrograms(map));
  }
  return elements;
}
