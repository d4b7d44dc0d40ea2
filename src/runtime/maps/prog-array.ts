/** A prog array whose elements can be set from program handles. */
import type { Btf } from '../../btf/types.ts';
import { InputError } from '../../errors.ts';
import type { MapSpec } from '../../object/spec.ts';
import type { ProgramHandle } from '../handles.ts';
import { TypedMap } from '../typed-map.ts';
import type { PlaneMap } from './plane-map.ts';

/** `get` and `set` take indices into the function table, as the programs' tail calls do; `put` takes programs. */
export class ProgArrayMap extends TypedMap {
  readonly #tableIndex: (program: ProgramHandle) => number | undefined;

  /** Owns `map`. `tableIndex` tells where a program can be tail-called, undefined if it is not of the same runtime. */
  constructor(
    map: PlaneMap,
    spec: MapSpec,
    btf: Btf | undefined,
    tableIndex: (program: ProgramHandle) => number | undefined,
  ) {
    super(map, spec, 'user', btf);
    this.#tableIndex = tableIndex;
  }

  /** The program stays while the element has it, even where its object is closed. Throws InputError `SLUICE_MAP_PROGRAM` for one that cannot be called here. */
  put(index: number, program: ProgramHandle): void {
    const entry = this.#tableIndex(program);
    if (entry === undefined) {
      throw new InputError('SLUICE_MAP_PROGRAM', `map ${this.name}: program ${program.name} is not of this runtime`);
    }
    this.raw.update(new Uint8Array(Uint32Array.of(index).buffer), new Uint8Array(Uint32Array.of(entry).buffer));
  }
}
