/**
 * Pinned maps of the user-space target. A pin holds a map in its runtime, so that objects that are loaded there later share it; with a path it also has a
 * file (pin-file.ts), which is written when the map is pinned, when a handle of it is closed, and when the process ends.
 */
import { InputError, UnsupportedError } from '../../errors.ts';
import type { PlaneInstance } from '../plane.ts';
import { mapFromFile, mapToFile, type StoredMap } from './pin-file.ts';
import type { PlaneMap } from './plane-map.ts';

/** The files of a machine, for pins. Paths are absolute. */
export interface PinFiles {
  absolute(path: string): string;
  /** undefined: there is no such file. */
  read(path: string): Uint8Array | undefined;
  /** As a whole or not at all. Throws InputError where it cannot be written. */
  write(path: string, bytes: Uint8Array): void;
  remove(path: string): void;
  /** Has `save` called before the process ends. */
  atExit(save: () => void): void;
}

/** Pins of this process by path. A path belongs to one runtime: memories cannot share a map. */
const owners = new Map<string, MapPins>();
const ofMemory = new WeakMap<WebAssembly.Memory, MapPins>();

export class MapPins {
  readonly plane: PlaneInstance;
  /** Undefined where there are no files, as in a browser. */
  files: PinFiles | undefined;
  readonly #byPath = new Map<string, PlaneMap>();
  readonly #byName = new Map<string, PlaneMap>();

  constructor(plane: PlaneInstance) {
    this.plane = plane;
  }

  /** The map that is pinned in this runtime, undefined if there is none: a handle that the caller closes. */
  open(path: string): PlaneMap | undefined {
    const absolute = this.#absolute(path);
    const owner = owners.get(absolute);
    if (owner !== undefined && owner !== this)
      throw new InputError(
        'SLUICE_MAP_PIN',
        `the map at ${path} is pinned in another runtime of this process; load into that one: { runtime }`,
      );
    return this.#share(this.#byPath.get(absolute), absolute);
  }

  /** What the file at a path holds. */
  stored(path: string): StoredMap | undefined {
    const bytes = this.#needFiles().read(this.#absolute(path));
    return bytes === undefined ? undefined : mapFromFile(bytes, path);
  }

  /** Pins and writes the file. Again, by the same map: writes it anew. EEXIST: the file is there, or another map's. */
  pin(path: string, map: PlaneMap): void {
    const absolute = this.#absolute(path);
    const there = this.#byPath.get(absolute);
    if (there !== undefined ? there.address !== map.address : this.#needFiles().read(absolute) !== undefined)
      throw new InputError('SLUICE_MAP_EEXIST', `map ${map.name}: pin: ${path}: EEXIST`);
    if (there === undefined) this.adopt(path, map);
    this.save(absolute);
  }

  /** Pins a map that was just made from its file. */
  adopt(path: string, map: PlaneMap): void {
    const absolute = this.#absolute(path);
    if (owners.size === 0) this.#needFiles().atExit(saveAll);
    owners.set(absolute, this);
    this.#byPath.set(absolute, map.hold());
    map.onClose(() => this.save(absolute));
  }

  /** Takes pin and file away; the map lives on as long as handles and programs hold it. */
  unpin(path: string): void {
    const absolute = this.#absolute(path);
    const map = this.#byPath.get(absolute);
    if (map === undefined) throw new InputError('SLUICE_MAP_ENOENT', `nothing is pinned at ${path} here: ENOENT`);
    this.#byPath.delete(absolute);
    owners.delete(absolute);
    map.close();
    this.#needFiles().remove(absolute);
  }

  /** Pins by name alone, without a file: shared by the objects of this runtime. */
  openByName(name: string): PlaneMap | undefined {
    return this.#byName.get(name)?.hold();
  }

  pinByName(name: string, map: PlaneMap): void {
    this.#byName.set(name, map.hold());
  }

  /** Paths and names that a map is pinned by. */
  of(address: number): string[] {
    return [...this.#byPath, ...this.#byName].filter(([, map]) => map.address === address).map(([pin]) => pin);
  }

  save(absolute: string): void {
    const map = this.#byPath.get(absolute);
    if (map !== undefined) this.#needFiles().write(absolute, mapToFile(map));
  }

  saveAll(): void {
    for (const path of this.#byPath.keys()) this.save(path);
  }

  #share(map: PlaneMap | undefined, absolute: string): PlaneMap | undefined {
    const shared = map?.hold();
    shared?.onClose(() => this.save(absolute));
    return shared;
  }

  #absolute(path: string): string {
    return this.#needFiles().absolute(path);
  }

  #needFiles(): PinFiles {
    if (this.files === undefined) throw new UnsupportedError('pinned maps', 'this runtime has no files to pin maps in');
    return this.files;
  }
}

function saveAll(): void {
  for (const pins of new Set(owners.values())) pins.saveAll();
}

export function pinsOf(plane: PlaneInstance): MapPins {
  let pins = ofMemory.get(plane.memory);
  if (pins === undefined) {
    pins = new MapPins(plane);
    ofMemory.set(plane.memory, pins);
  }
  return pins;
}

/** The pins of the runtime in this process that holds one of the paths. */
export function pinOwner(files: PinFiles, paths: readonly string[]): MapPins | undefined {
  return paths.map((path) => owners.get(files.absolute(path))).find((pins) => pins !== undefined);
}
