/** A struct_ops map of the user-space target, modelled: the kernel struct's bytes, the programs of its functions, and the states of a registration. */
import type { Btf } from '../../btf/types.ts';
import { InputError } from '../../errors.ts';
import type { MapSpec } from '../../object/spec.ts';
import {
  STRUCT_OPS_DATA,
  STRUCT_OPS_INUSE,
  STRUCT_OPS_READY,
  STRUCT_OPS_STATE,
  STRUCT_OPS_TOBEFREE,
} from '../../plane/layout/map-struct-ops.ts';
import type { StructOpsHandle } from '../handles.ts';
import { TypedMap } from '../typed-map.ts';
import type { PlaneMap } from './plane-map.ts';

const key = new Uint8Array(4);

/** Size of the map's element for a struct of that size. */
export function structOpsValueSize(size: number): number {
  return STRUCT_OPS_DATA + ((size + 63) & ~63);
}

/** Name of an enum bpf_struct_ops_state. */
export function structOpsState(state: number): StructOpsHandle['state'] {
  switch (state) {
    case STRUCT_OPS_INUSE:
      return 'inuse';
    case STRUCT_OPS_TOBEFREE:
      return 'tobefree';
    case STRUCT_OPS_READY:
      return 'ready';
    default:
      return 'init';
  }
}

export class StructOpsMap extends TypedMap implements StructOpsHandle {
  /** Owns `map`. */
  constructor(map: PlaneMap, spec: MapSpec, btf: Btf | undefined) {
    super(map, spec, 'user', btf);
  }

  get state(): StructOpsHandle['state'] {
    const value = this.raw.lookup(key)!;
    return structOpsState(new DataView(value.buffer, value.byteOffset).getUint32(STRUCT_OPS_STATE, true));
  }

  get programs(): ReadonlyMap<number, string> {
    const { contents } = this.spec;
    return contents.kind === 'struct-ops' ? contents.programs : new Map();
  }

  register(bytes?: Uint8Array): void {
    const { contents } = this.spec;
    const data = bytes ?? (contents.kind === 'struct-ops' ? contents.bytes : undefined);
    if (data?.length !== this.spec.valueSize)
      throw new InputError('SLUICE_MAP_VALUE_SIZE', `map ${this.name}: the struct has ${this.spec.valueSize} bytes`);
    const value = new Uint8Array(structOpsValueSize(data.length));
    value.set(data, STRUCT_OPS_DATA);
    this.raw.update(key, value);
  }

  unregister(): boolean {
    return this.raw.delete(key);
  }

  struct(): Uint8Array {
    return this.raw.lookup(key)!.slice(STRUCT_OPS_DATA, STRUCT_OPS_DATA + this.spec.valueSize);
  }
}
