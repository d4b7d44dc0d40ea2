/** prep/: requests of io_uring as bytes; see sqe.ts. `import * as prep`: the functions have the names of the opcodes. */
export * from './control.ts';
export * from './file.ts';
export * from './path.ts';
export * from './pipe.ts';
export * from './socket.ts';
export type { Address, RequestOptions, Slot, Word64 } from './sqe.ts';
export * from './structures.ts';
export * from './time.ts';
export * from './wait.ts';
