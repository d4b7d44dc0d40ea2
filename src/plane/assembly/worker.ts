// The instance's own worker block: every worker instantiates the plane with the address of its block.
@external("env", "worker") export declare const WORKER: usize;
