(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (type (;2;) (func (param i64 i64) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $gotox (type 2) (param i64 i64) (result i64)
    (local i32 i32 i64 i64)
    (local.set 2
      (i32.wrap_i64
        (local.get 0)))
    (block  ;; label = @1
      (block  ;; label = @2
        (local.set 2
          (i32.and
            (local.get 2)
            (i32.const 1)))
        (local.set 2
          (i32.shl
            (local.get 2)
            (i32.const 3)))
        (local.set 3
          (i32.add
            (i32.const 0)
            (local.get 2)))
        (local.set 4
          (i64.load align=1
            (local.get 3)))
        (block  ;; label = @3
          (br_table 2 (;@1;) 0 (;@3;) 1 (;@2;) 0 (;@3;)
            (select
              (i32.wrap_i64
                (local.tee 5
                  (i64.sub
                    (local.get 4)
                    (i64.const 7))))
              (i32.const -1)
              (i64.le_u
                (local.get 5)
                (i64.const 4294967295)))))
        (unreachable))
      (return
        (i64.const 11)))
    (return
      (i64.const 10))
    (unreachable))
  (export "gotox" (func 0))
  (export "gotox:tail" (func 0))
  (elem (;0;) (global.get 1) func 0 0))
