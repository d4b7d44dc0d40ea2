(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (type (;2;) (func (param i64 i64) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $stack-slot-that-escapes (type 2) (param i64 i64) (result i64)
    (local i32 i32 i64)
    (local.set 2
      (i32.sub
        (i32.load offset=4 align=1
          (global.get 0))
        (i32.const 512)))
    (i64.store offset=504 align=1
      (local.get 2)
      (local.get 0))
    (local.set 3
      (i32.add
        (i32.add
          (local.get 2)
          (i32.const 512))
        (i32.wrap_i64
          (local.get 0))))
    (local.set 4
      (i64.load align=1
        (i32.add
          (local.get 3)
          (i32.const -16))))
    (return
      (local.get 4))
    (unreachable))
  (export "stack-slot-that-escapes" (func 0))
  (export "stack-slot-that-escapes:tail" (func 0))
  (elem (;0;) (global.get 1) func 0 0))
