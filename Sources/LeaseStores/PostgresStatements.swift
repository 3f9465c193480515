/// One statement for each act, so that nothing comes between its parts: a row is locked while it is looked at and changed.
/// clock_timestamp() goes on within a statement that had to wait for a row, where now() would be in the past.
/// Source: postgresql.org/docs/current/sql-insert.html, "ON CONFLICT"
enum PostgresStatements {
  /// Two that come first at once make it one after the other.
  static let schema = """
    DO $$ BEGIN
      PERFORM pg_advisory_xact_lock(4776893016);
      -- IF NOT EXISTS would want the right to make one, also where it is there.
      IF to_regnamespace('baton') IS NULL THEN CREATE SCHEMA baton; END IF;
      CREATE TABLE IF NOT EXISTS baton.lease (
        name text PRIMARY KEY, token bigint NOT NULL, owner text, label text, exchange bigint, until timestamptz NOT NULL,
        forgotten boolean NOT NULL DEFAULT false);
      CREATE TABLE IF NOT EXISTS baton.instance (owner text PRIMARY KEY, label text, until timestamptz NOT NULL);
    END $$
    """

  private static let until = "clock_timestamp() + make_interval(secs => $TIME::float8 / 1000)"
  private static let isHeld = "(l.owner IS NOT NULL AND l.until > clock_timestamp())"
  private static let isOurs = "(l.owner = $2 AND l.until > clock_timestamp())"
  private static let next = "greatest($5::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
  /// Nobody's are nulls.
  private static let holderFields = """
    CASE WHEN \(isHeld) THEN l.owner END, l.token, l.label,
    greatest(0, extract(epoch FROM l.until - clock_timestamp()) * 1000)::bigint
    """

  /// $1 name, $2 owner, $3 label, $4 milliseconds, $5 above, $6 exchange. No row: another has it.
  static let acquire = """
    INSERT INTO baton.lease AS l (name, token, owner, label, exchange, until)
    VALUES ($1, \(next)) + 1, $2, $3, $6::bigint, \(until.replacing("$TIME", with: "$4")))
    ON CONFLICT (name) DO UPDATE SET
      token = CASE WHEN \(isOurs) THEN l.token ELSE \(next), l.token) + 1 END,
      exchange = CASE WHEN \(isOurs) THEN greatest(l.exchange, excluded.exchange) ELSE excluded.exchange END,
      owner = excluded.owner, label = excluded.label, until = \(until.replacing("$TIME", with: "$4")), forgotten = false
    WHERE NOT \(isHeld) OR \(isOurs)
    RETURNING l.token
    """

  /// $1 name.
  static let holder = "SELECT \(holderFields) FROM baton.lease l WHERE l.name = $1"

  /// $1 owner, $2 label, $3 milliseconds, $4 names, $5 their tokens.
  static let beat = """
    WITH gone AS (DELETE FROM baton.instance WHERE until < clock_timestamp() AND owner <> $1),
    here AS (
      INSERT INTO baton.instance VALUES ($1, $2, \(until.replacing("$TIME", with: "$3")))
      ON CONFLICT (owner) DO UPDATE SET label = excluded.label, until = excluded.until),
    wanted AS (SELECT * FROM unnest($4::text[], $5::bigint[]) AS w (name, token)),
    renewed AS (
      UPDATE baton.lease l SET until = \(until.replacing("$TIME", with: "$3")) FROM wanted w
      WHERE l.name = w.name AND l.token = w.token AND l.owner = $1 AND l.until > clock_timestamp()
      RETURNING l.name)
    SELECT w.name, r.name IS NOT NULL, \(holderFields)
    FROM wanted w LEFT JOIN renewed r ON r.name = w.name LEFT JOIN baton.lease l ON l.name = w.name
    """

  /// $1 name, $2 owner, $3 exchange.
  static let release = """
    WITH freed AS (
      UPDATE baton.lease SET owner = NULL WHERE name = $1 AND owner = $2 AND exchange < $3::bigint RETURNING name)
    SELECT pg_notify('baton_lease', name) FROM freed
    """

  /// $1 owner.
  static let unregister = "DELETE FROM baton.instance WHERE owner = $1"

  /// $1 name. The row as it was.
  static let free = """
    WITH l AS (
      SELECT * FROM baton.lease l WHERE name = $1 AND \(isHeld) FOR UPDATE),
    freed AS (
      UPDATE baton.lease f SET token = l.token + 1, owner = NULL FROM l WHERE f.name = l.name RETURNING f.name)
    SELECT \(holderFields), pg_notify('baton_lease', l.name) FROM l JOIN freed ON freed.name = l.name
    """

  /// $1 name.
  static let forget = """
    UPDATE baton.lease l SET forgotten = true, label = NULL
    WHERE name = $1 AND NOT forgotten AND NOT \(isHeld) RETURNING name
    """

  static let records = """
    SELECT l.name, l.token, l.label, \(holderFields) FROM baton.lease l WHERE NOT l.forgotten ORDER BY l.name
    """
}
