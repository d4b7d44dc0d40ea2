// Where the program runs.
import { WORKER_CPU } from '../../layout/worker';
import { WORKER } from '../worker';

export function bpf_get_smp_processor_id(): u64 {
  return <u64>load<u32>(WORKER, WORKER_CPU);
}

// One node: the linear memory has no locality of its own.
export function bpf_get_numa_node_id(): u64 {
  return 0;
}
