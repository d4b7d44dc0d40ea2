/** `--maps FILE`: initial contents of maps as JSON (runtime/json-value.ts). */
import { type MapInput, mapInputFromJson } from '../runtime/json-value.ts';
import { readJson } from './selector.ts';

export function readMapInput(path: string): MapInput {
  return mapInputFromJson(readJson(path), path);
}

export { fillMaps, type MapInput } from '../runtime/json-value.ts';
