package import Vocabulary

extension Settings {
  /// `[deploy]`, with `[health]`, `[migrate]`, `[backup]` and `[bake]`: how releases of this service are made, proved and
  /// taken back.
  package struct Deploy: Hashable, Sendable {
    /// `repository`: a URL or a path that git fetches from; nil where releases come as a directory or an archive.
    package var repository: String?
    /// `ref`: a branch, a tag or a commit.
    package var ref: String
    /// `fetch-timeout`: for each question to the repository, and each fetch.
    package var fetchTimeout: Duration
    /// `user`: deploys, builds and hooks run as this user. Never root unless it says "root".
    package var user: String
    /// `unit`: what is reloaded or restarted. `baton@NAME.service` where nothing is said.
    package var unit: String
    package var activation: Activation
    package var build: Build
    /// `artifacts`: files of the release that must exist and be executable after the build.
    package var artifacts: [String]
    /// `shared`: paths of the tree that are links into `shared/`.
    package var shared: [String]
    /// `exclude`: paths of the tree that are in no manifest and no backup. Anchored at the tree's top.
    package var exclude: [String]
    /// `tree`: what the service ran from before there were releases; absolute.
    package var tree: String?
    /// `keep`: releases, without those that are protected.
    package var keep: Int
    /// `keep-for` and `keep-size`: older releases and backups, and those beyond so many bytes, go as well.
    package var keepFor: Duration?
    package var keepSize: ByteCount?
    /// `window`: when a deploy may begin; empty means always.
    package var window: [Window]
    /// `require-ancestor`: the commit must be reachable from this ref.
    package var requiredAncestor: String?
    /// `require-signature`: a file of allowed signers, as git's gpg.ssh.allowedSignersFile.
    package var allowedSigners: String?
    /// `[deploy.hooks]`: by name, `before-build`, `after-activate`, …, `failed`; each a list of commands.
    package var hooks: [String: [[String]]]
    /// `[[deploy.checklist]]`
    package var checklist: [ChecklistItem]
    /// `secrets`: absolute paths of environment files whose values are masked in every output, and given to builds, hooks and migrations.
    package var secrets: [String]
    package var health: Health
    package var bake: Bake
    package var migrate: Migrate?
    package var backup: Backup

    /// `activate`
    package enum Activation: String, Hashable, Sendable, CaseIterable {
      /// ReloadOrRestartUnit.
      case reload
      /// For programs whose reload keeps the old code.
      case restart
    }

    /// `build`, `build-timeout`, `build-memory`, `build-environment`
    package struct Build: Hashable, Sendable {
      /// Run one after the other in the new release.
      package var commands: [[String]]
      package var timeout: Duration
      package var memoryLimit: ByteCount?
      package var environment: [String: String]
    }

    package struct ChecklistItem: Hashable, Sendable {
      package enum When: String, Hashable, Sendable, CaseIterable { case before, after }
      package var when: When
      /// What is checked, for people.
      package var text: String
      /// nil: a person confirms it.
      package var run: [String]?
    }

    /// `[health]`
    package struct Health: Hashable, Sendable {
      /// `[[health.check]]`, or `url` for a single one.
      package var checks: [Check]
      /// `passes`: so many rounds in a row.
      package var passes: Int
      /// `interval`: between rounds, after a failure growing up to `max-interval`.
      package var interval: Duration
      package var maxInterval: Duration
      /// `deadline`: by then it must have passed.
      package var deadline: Duration

      package struct Check: Hashable, Sendable {
        /// `http://…`, `https://…`; `unix:/run/app.sock:/path`.
        package var url: String
        package var method: String
        package var headers: [String: String]
        package var statuses: [Int]
        /// `contains`: text of the body.
        package var contains: String?
        /// `json = { path = "status", equals = "ok" }`
        package var json: Member?
        package var connectTimeout: Duration
        package var timeout: Duration
        /// `max-latency`
        package var maxLatency: Duration?
        /// `follow`: how many redirects.
        package var redirects: Int
        /// `ca-file`
        package var caFile: String?

        package struct Member: Hashable, Sendable {
          /// Members and indices with dots: `checks.0.state`.
          package var path: String
          package var equals: String
        }
      }
    }

    /// `[bake]`
    package struct Bake: Hashable, Sendable {
      /// `for`: 0 means no bake.
      package var duration: Duration
      package var interval: Duration
      /// `max-restarts`, `max-errors` (journal entries of priority error), `max-memory`, `max-cpu` (of all CPUs together).
      package var maxRestarts: Int
      package var maxErrors: Int
      package var maxMemory: ByteCount?
      package var maxCPU: Share?
      /// `breaches`: so many bad looks in a row are a breach.
      package var breaches: Int
    }

    /// `[migrate]`
    package struct Migrate: Hashable, Sendable {
      package enum Source: Hashable, Sendable {
        /// `directory`: SQL files of the release, in the order of their names.
        case files(directory: String)
        /// `command`: the program's own tool.
        case command([String])
      }
      package var source: Source
      /// `database`: `postgres://…` or `sqlite:///path`; `database-variable` names a variable of `secrets` instead.
      package var database: String?
      package var databaseVariable: String?
      package var lockTimeout: Duration
      package var statementTimeout: Duration
      package var timeout: Duration
    }

    /// `[backup]`
    package struct Backup: Hashable, Sendable {
      package enum Format: String, Hashable, Sendable, CaseIterable { case zst, gz }
      package var keep: Int
      package var format: Format
      package var level: Int
      /// `shared`: paths of `shared/` that belong into a backup.
      package var shared: [String]
    }
  }
}
