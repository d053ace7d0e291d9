// A column of a table.
export interface Column<Row> {
  id: string;
  label: string;
  /** Figures stand at the right. */
  num?: boolean;
  /** Left out where there is little room. */
  wide?: boolean;
  /** What rows are sorted by; without it they can't be. */
  by?: (row: Row) => string | number | bigint;
}
