/** What all handles of kernel maps are. */
import type { Btf } from '../btf/types.ts';
import type { MapSpec } from '../object/spec.ts';
import { TypedMap } from '../runtime/typed-map.ts';
import type { KernelMap } from './maps.ts';

/** A typed map whose bytes are the kernel's. */
export class LinuxMap extends TypedMap {
  readonly kernel: KernelMap;

  constructor(kernel: KernelMap, spec: MapSpec, btf: Btf | undefined) {
    super(kernel, spec, 'linux', btf);
    this.kernel = kernel;
  }
}
