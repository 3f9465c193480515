internal import Glibc
package import LinuxSystem

/// Who may do what in a release: the deploy user owns it, the service reads it, nobody else writes.
package enum ReleaseModes {
  /// Takes setuid and setgid bits and the writing of group and others away from everything but what is `outside`.
  ///
  /// - Returns: what the release holds, as it is then.
  @discardableResult
  package static func seal(_ release: String, outside: Set<TreePath> = [], _ files: DurableFiles) throws(SystemError)
    -> TreeListing
  {
    try files.effects.perform(.mode, release, planned: TreeListing()) { () throws(SystemError) in
      var listing = TreeListing()
      let limits = TreeLimits(entries: Manifest.itemLimit)
      try TreeWalk.each(in: release, skipping: outside, limits: limits) { (entry) throws(SystemError) in
        var mode = entry.facts.mode
        if entry.facts.kind != .link {
          mode = sealed(mode, isDirectory: entry.facts.kind == .directory)
          if mode != entry.facts.mode {
            try retrying("set the mode of", "\(release)/\(entry.path)") {
              fchmodat(entry.directory, entry.name, mode_t(mode), 0)
            }
          }
        }
        try listing.append(entry, mode: mode)
      }
      return listing
    }
  }

  /// A directory keeps its setgid bit, which only passes a group on.
  static func sealed(_ mode: UInt32, isDirectory: Bool) -> UInt32 {
    mode & ~(isDirectory ? 0o5022 : 0o7022)
  }

  /// What stands in the way of running it.
  package struct Trouble: Hashable, Sendable {
    /// The first the service cannot read, or enter; relative to the release, `.` for a directory above it.
    package var unreadable: String?
    /// The first the service can write.
    package var writable: String?
  }

  /// Looks as the service would, by owners and modes; lists of access rights beyond those are not seen.
  package static func trouble(in release: String, _ listing: TreeListing, for user: Identity) throws(SystemError)
    -> Trouble
  {
    var trouble = Trouble()
    var above = release
    repeat {
      var facts = stat()
      try retrying("look at", above) { stat(above, &facts) }
      if !allows(facts.st_uid, facts.st_gid, facts.st_mode, user, 0o1) { trouble.unreadable = above }
      above = parentDirectory(of: above)
    } while above != "/" && above != "."
    for (item, facts) in zip(listing.items, listing.facts) where facts.kind == .file || facts.kind == .directory {
      let needed: UInt32 = facts.kind == .directory ? 0o5 : 0o4
      if trouble.unreadable == nil, !allows(facts.user, facts.group, item.mode, user, needed) {
        trouble.unreadable = item.path.description
      }
      if trouble.writable == nil, allows(facts.user, facts.group, item.mode, user, 0o2) || facts.user == user.user {
        trouble.writable = item.path.description
      }
    }
    return trouble
  }

  /// Source: path_resolution(7).
  private static func allows(_ owner: UInt32, _ group: UInt32, _ mode: UInt32, _ user: Identity, _ needed: UInt32)
    -> Bool
  {
    if user.user == 0 { return true }
    let bits =
      if owner == user.user { mode >> 6 } else if group == user.group || user.groups.contains(group) { mode >> 3 } else
      { mode }
    return bits & needed == needed
  }
}
