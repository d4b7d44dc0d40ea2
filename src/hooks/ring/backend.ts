/** What executes a ring's requests. Declared by the runtime, as linux/ implements it and knows no hooks. */
export type { RingAddresses, RingBackend } from '../../runtime/ring-backend.ts';
