(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (type (;2;) (func (param i64 i64) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $stack-slots-in-registers (type 2) (param i64 i64) (result i64)
    (local i32 i64 i32 i64)
    (local.set 2
      (i32.wrap_i64
        (local.get 1)))
    (local.set 3
      (local.get 0))
    (local.set 4
      (local.get 2))
    (local.set 5
      (i64.extend_i32_s
        (local.get 4)))
    (local.set 0
      (local.get 3))
    (local.set 5
      (i64.add
        (local.get 5)
        (local.get 0)))
    (return
      (local.get 5))
    (unreachable))
  (export "stack-slots-in-registers" (func 0))
  (export "stack-slots-in-registers:tail" (func 0))
  (elem (;0;) (global.get 1) func 0 0))
