%% What the agent knows: of the connection, of the windows that are ready, and of the one that is open.

-define(EVER, 16#7fffffff).  % milliseconds for what may take as long as it likes
-define(LIMIT, 5000).  % milliseconds for an answer where nobody said another limit (OTP's)

%% while an upgrade is provisional it is asked so many times whether all is well, and so many milliseconds apart at least
-define(TIMES, 10).
-define(LEAST_PAUSE, 1000).
-define(GRACE, 100).  % milliseconds for what nobody waits for any more: who hangs, or is busy
-define(NOW, erlang:monotonic_time(millisecond)).

-record(agent, {
    owner,
    bridge,
    lease,
    heard,
    nobody,
    windows = #{},
    %% what leads back to the base should the bridge be lost between two windows: groups of requests, the first to be
    %% done first; a group is a call, or a window
    back = [],
    %% of an upgrade that is done and not confirmed: when it goes back, and over which groups
    due = none,
    %% whom the last one found who was asked before a window: {Modules, Census}
    census = none,
    %% of the open window: its modules, modules by process and the same as a list, monitors of these and of their
    %% supervisors, all processes before it, and who came up until its load
    modules = [],
    limits = #{},
    selected = #{},
    order = [],
    supervisors = [],
    monitors = [],
    known = none,
    unseen = [],
    asked = [],
    %% of the window that is over: who may not have forgotten yet what it kept, with its monitor
    watched = [],
    %% what takes back the calls that were made in it, the last first
    called = [],
    changed = [],
    stuck = [],
    loaded = none,
    died = [],
    stopped = #{},
    %% of the open window: the ids that its supervisors know, and those of before the window that it takes back; and those
    %% by the number of the window
    children = [],
    added = [],
    known_children = #{},
    %% the specs of children that were deleted, by supervisor and id
    deleted = #{},
    %% what applications had in their environments before any of it was changed; none when nothing was
    env = none,
    %% what is to be done once everybody goes on, and what of that failed
    next = [],
    settled = [],
    %% what is asked while the upgrade is provisional, and how often: {Milliseconds, Requests}, and its next turn; what
    %% says, in which file, that it is confirmed, while somebody does that
    probes = {infinity, []},
    turn = none,
    record = none
}).
