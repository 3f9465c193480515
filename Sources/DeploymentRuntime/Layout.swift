package import Vocabulary

/// Where everything of one service lies, below the `directory` of its settings. Paths only; nothing is looked at.
///
///     current -> releases/ID     what runs; switched by a durable rename
///     releases/ID                an immutable tree
///     releases/ID.manifest       its files with their hashes, its commit, who made it and when
///     shared/                    what outlives releases, linked into each
///     backups/                   archives
///     deploys/lock               flock; never unlinked
///     deploys/ledger.db          operations and releases
///     deploys/mirror.git         the bare mirror
///     deploys/OPERATION/         request.json, steps.jsonl, output.log, abort
package struct Layout: Hashable, Sendable {
  /// Absolute, without a slash at its end.
  package let directory: String

  package init(directory: String) { self.directory = directory }

  package var current: String { "\(directory)/current" }
  package var releases: String { "\(directory)/releases" }
  package var shared: String { "\(directory)/shared" }
  package var backups: String { "\(directory)/backups" }
  package var deploys: String { "\(directory)/deploys" }
  package var lock: String { "\(deploys)/lock" }
  package var ledger: String { "\(deploys)/ledger.db" }
  package var mirror: String { "\(deploys)/mirror.git" }

  package func release(_ id: ReleaseID) -> String { "\(releases)/\(id)" }
  package func manifest(_ id: ReleaseID) -> String { "\(releases)/\(id).manifest" }
  package func operation(_ id: OperationID) -> String { "\(deploys)/\(id)" }
}
