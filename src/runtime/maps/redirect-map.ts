/** Maps of redirect targets whose elements can be set with the program that runs there. */
import type { Btf } from '../../btf/types.ts';
import { InputError } from '../../errors.ts';
import type { MapSpec } from '../../object/spec.ts';
import { callableAt, callableIndex } from '../callable.ts';
import type { ProgramHandle, RedirectMapHandle, UpdateMode } from '../handles.ts';
import { UserProgram } from '../program.ts';
import { TypedMap } from '../typed-map.ts';
import type { PlaneMap } from './plane-map.ts';

/** What the programs of elements are made for. */
const attachTypes = { devmap: 'xdp_devmap', devmap_hash: 'xdp_devmap', cpumap: 'xdp_cpumap' } as const;

export class RedirectMap extends TypedMap implements RedirectMapHandle {
  readonly #map: PlaneMap;

  /** Owns `map`. */
  constructor(map: PlaneMap, spec: MapSpec, btf: Btf | undefined) {
    super(map, spec, 'user', btf);
    this.#map = map;
  }

  put(key: number, to: number, program?: ProgramHandle, mode?: UpdateMode): void {
    const value = new Uint8Array(this.#map.elementSize);
    const view = new DataView(value.buffer);
    view.setUint32(0, to, true);
    if (program !== undefined) view.setUint32(4, this.#indexOf(program, value.length), true);
    this.raw.update(new Uint8Array(Uint32Array.of(key).buffer), value, mode);
  }

  #indexOf(program: ProgramHandle, elementSize: number): number {
    const wrong = (text: string) => new InputError('SLUICE_MAP_PROGRAM', `map ${this.name}: ${text}`);
    if (!(program instanceof UserProgram) || program.runtime.plane.memory !== this.#map.plane.memory)
      throw wrong(`program ${program.name} is not of this runtime`);
    if (elementSize < 8) throw wrong('its values are of 4 bytes, without room for a program: give it values of 8');
    const refused = programRefusal(this.type, program);
    if (refused !== undefined) throw wrong(refused);
    return callableIndex(program);
  }
}

function programRefusal(type: string, { name, spec }: UserProgram): string | undefined {
  const wanted = Object.hasOwn(attachTypes, type) ? attachTypes[type as keyof typeof attachTypes] : undefined; // as just asked
  if (wanted === undefined) return `elements of type ${type} have no programs`;
  if (spec.type === 'xdp' && spec.attachType === wanted) return undefined;
  return `program ${name} is not one of section ${wanted.replace('xdp_', 'xdp/')}: EINVAL`;
}

/** Index in the function table of the program that an element with this value has, 0: none; undefined: elements of the map never have one. */
export function elementProgram({ type }: PlaneMap, value: Uint8Array): number | undefined {
  if (!Object.hasOwn(attachTypes, type) || value.length < 8) return undefined;
  const view = new DataView(value.buffer, value.byteOffset);
  return view.getUint32(0, true) === 0 ? 0 : Math.max(0, view.getInt32(4, true));
}

/** False: the element's program is none that such a map may have. */
export function isElementProgram(map: PlaneMap, value: Uint8Array): boolean {
  const index = elementProgram(map, value) ?? 0;
  if (index === 0) return true;
  const program = callableAt(map.plane, index);
  return program !== undefined && programRefusal(map.type, program) === undefined;
}
