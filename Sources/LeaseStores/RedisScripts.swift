/// One script for each act, so that nothing comes between its parts.
///
/// A lease that is held is a hash with the server's expiry: owner, token, label, exchange. What outlives it, the last token
/// and the last owner's label, lies in two hashes by name. The time in tokens is the server's.
/// Source: redis.io/docs/latest/develop/interact/programmability/eval-intro
enum RedisScripts {
  /// A key that is there and none of ours is left alone.
  private static let read = """
    local function holder(key)
      local h = redis.call('HMGET', key, 'owner', 'token', 'label', 'exchange')
      if h[1] then
        local left = redis.call('PTTL', key)
        return {h[1], h[2], h[3], left < 0 and 0 or left}, h[4]
      end
      if redis.call('EXISTS', key) == 1 then return nil, nil, true end
    end

    """
  private static let refuse = "return redis.error_reply('FOREIGN key')"

  /// KEYS: lease, tokens, labels. ARGV: name, owner, label, milliseconds, above, exchange.
  static let acquire =
    read + """
      local h, exchange, foreign = holder(KEYS[1])
      if foreign then \(refuse) end
      if h then
        if h[1] ~= ARGV[2] then return {'held', h[1], h[2], h[3], h[4]} end
        redis.call('PEXPIRE', KEYS[1], ARGV[4])
        if tonumber(ARGV[6]) > tonumber(exchange) then redis.call('HSET', KEYS[1], 'exchange', ARGV[6]) end
        return {'granted', h[2]}
      end
      local t = redis.call('TIME')
      local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
      local last = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
      local floor = tonumber(redis.call('HGET', KEYS[2], '') or '0')
      local token = string.format('%.0f', math.max(last, floor, tonumber(ARGV[5]), now) + 1)
      redis.call('HSET', KEYS[2], ARGV[1], token)
      redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
      redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'token', token, 'label', ARGV[3], 'exchange', ARGV[6])
      redis.call('PEXPIRE', KEYS[1], ARGV[4])
      return {'granted', token}
      """

  /// KEYS: instance, leases. ARGV: owner, label, milliseconds, a token for each lease.
  static let beat =
    read + """
      redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
      local answer = {}
      for i = 2, #KEYS do
        local h = holder(KEYS[i])
        if h and h[1] == ARGV[1] and h[2] == ARGV[i + 2] then
          redis.call('PEXPIRE', KEYS[i], ARGV[3])
          answer[i - 1] = {'renewed'}
        elseif h then
          answer[i - 1] = {'lost', h[1], h[2], h[3], h[4]}
        else
          answer[i - 1] = {'lost'}
        end
      end
      return answer
      """

  /// KEYS: lease, news. ARGV: name, owner, exchange.
  static let release =
    read + """
      local h, exchange = holder(KEYS[1])
      if h and h[1] == ARGV[2] and tonumber(exchange) < tonumber(ARGV[3]) then
        redis.call('DEL', KEYS[1])
        redis.call('PUBLISH', KEYS[2], ARGV[1])
      end
      return 1
      """

  /// KEYS: lease, tokens, news. ARGV: name.
  static let free =
    read + """
      local h, exchange, foreign = holder(KEYS[1])
      if foreign then \(refuse) end
      if not h then return false end
      local last = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
      local token = string.format('%.0f', math.max(last, tonumber(h[2])) + 1)
      redis.call('HSET', KEYS[2], ARGV[1], token)
      redis.call('DEL', KEYS[1])
      redis.call('PUBLISH', KEYS[3], ARGV[1])
      return h
      """

  /// KEYS: lease, tokens, labels. ARGV: name.
  static let forget = """
    local token = redis.call('HGET', KEYS[2], ARGV[1])
    if not token or redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
    local floor = tonumber(redis.call('HGET', KEYS[2], '') or '0')
    if tonumber(token) > floor then redis.call('HSET', KEYS[2], '', token) end
    redis.call('HDEL', KEYS[2], ARGV[1])
    redis.call('HDEL', KEYS[3], ARGV[1])
    return 1
    """

  /// KEYS: tokens, labels. ARGV: what stands before the name in a lease's key.
  static let records =
    read + """
      local tokens = redis.call('HGETALL', KEYS[1])
      local answer = {}
      for i = 1, #tokens, 2 do
        if tokens[i] ~= '' then
          local h = holder(ARGV[1] .. tokens[i]) or {}
          local last = redis.call('HGET', KEYS[2], tokens[i]) or ''
          answer[#answer + 1] = {tokens[i], tokens[i + 1], last, h[1], h[2], h[3], h[4]}
        end
      end
      return answer
      """
}
