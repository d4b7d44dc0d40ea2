/** The handle of a struct_ops map in the kernel: what programs implement is registered with the subsystem that calls them. */
import type { Btf } from '../btf/types.ts';
import { InputError } from '../errors.ts';
import type { MapSpec } from '../object/spec.ts';
import { STRUCT_OPS_STATE } from '../plane/layout/map-struct-ops.ts';
import type { StructOpsHandle } from '../runtime/handles.ts';
import { structOpsState } from '../runtime/maps/struct-ops.ts';
import { LinuxMap } from './linux-map.ts';
import type { KernelMap } from './maps.ts';
import type { KernelProgram } from './programs.ts';
import { type KernelStruct, kernelStruct, kernelValue, structNameOf } from './struct-ops.ts';

const key = new Uint8Array(4);

export class LinuxStructOps extends LinuxMap implements StructOpsHandle {
  readonly #btf: Btf | undefined;
  readonly #struct: KernelStruct;
  #programs: Readonly<Record<string, KernelProgram>> = {};

  constructor(kernel: KernelMap, spec: MapSpec, btf: Btf | undefined) {
    super(kernel, spec, btf);
    this.#btf = btf;
    this.#struct = kernelStruct(structNameOf(spec, btf));
  }

  /** The programs of the object, which the kernel has now. */
  connect(programs: Readonly<Record<string, KernelProgram>>): void {
    this.#programs = programs;
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
    if (data?.length !== this.spec.valueSize || this.#btf === undefined)
      throw new InputError('SLUICE_MAP_VALUE_SIZE', `map ${this.name}: the struct has ${this.spec.valueSize} bytes`);
    const descriptorOf = (name: string) => {
      const program = this.#programs[name];
      if (program !== undefined) return program.fd;
      throw new InputError('SLUICE_STRUCT_OPS', `map ${this.name}: program ${name} is not loaded`);
    };
    this.raw.update(key, kernelValue(this.#struct, this.spec, this.#btf, data, descriptorOf));
  }

  unregister(): boolean {
    return this.raw.delete(key);
  }

  struct(): Uint8Array {
    const { offset, type } = this.#struct;
    return this.raw.lookup(key)!.slice(offset, offset + type.size);
  }
}
