# shellcheck shell=bash
# What the Quick Starts have in common: a devcontainer.json as its users have it, taken through the official CLI from
# a folder or from a registry with TLS and a login, and the claims that hold for both.

# shellcheck source=lib.sh
source "$(dirname "$0")/lib.sh"
base=$ROW_IMAGE

api=http://api.test.example:8099
login='{"claudeAiOauth":{"accessToken":"login-of-PROJECT","refreshToken":"unused","expiresAt":4102444800000,"scopes":["user:inference"],"subscriptionType":"max"}}'

# The official CLI; with a registry it is told whom to trust, and its login unless that is taken from it.
cli() {
    if [ "$ROW_FROM" = registry ]; then
        NODE_EXTRA_CA_CERTS=$SECURED_AUTHORITY DOCKER_CONFIG=${docker_config-$SECURED_LOGIN} "$DEVCONTAINER" "$@"
    else
        "$DEVCONTAINER" "$@"
    fi
}

# project NAME <devcontainer.json: as it was read, but for the image, the Feature's reference and the lab's network.
project() {
    local folder=$WORK/$1/.devcontainer reference options text
    mkdir -p "$folder"
    if [ "$ROW_FROM" = registry ]; then
        reference=$SECURED_REGISTRY/claude-code:0
    else
        cp -r "$FEATURE" "$folder/claude-code"
        reference=./claude-code
    fi
    options="\"npmRegistry\": \"$NPM_REGISTRY\", \"allow\": \"api.test.example:8099, web.test.example:80\""
    text=$(sed -E \
        -e "s|^( *\"image\": )\"[^\"]*\"|\1\"$base\"|" \
        -e "s|\"[^\"]*/claude-code:[a-z0-9.]*\": \{\}|\"$reference\": { $options }|" \
        -e "s|\"runArgs\": \[|&\"--network=$NETWORK\", \"--dns=$DNS\", |")
    for part in "\"image\": \"$base\"" "\"$reference\": {" "--network=$NETWORK"; do
        grep -qF -- "$part" <<<"$text" || fail "the Quick Start has no place for $part"
    done
    echo "$text" >"$folder/devcontainer.json"
}

up_project() {
    project=$1
    shift
    started_by cli up --workspace-folder "$WORK/$project" "$@"
}
in_project() { cli exec --workspace-folder "$WORK/$project" "$@" 2>"$WORK/exec.log"; }
as_user() { docker exec --user "$remote" "$container" "$@"; }

# What Claude Code itself says about its login: claude_says KEY.
claude_says() { { as_user claude auth status || true; } | sed -n "s/^ *\"$1\": *\"\{0,1\}\([^\",]*\).*/\1/p"; }
# A value in Claude Code's own state file that it makes at its first start and keeps.
claude_id() { as_user cat "$config/.claude.json" | sed -n 's/^ *"userID": *"\([0-9a-f]*\)".*/\1/p'; }
logs_in() {
    local config
    config=$(claude_says configDirectory)
    docker exec --interactive --user "$remote" "$container" sh -c 'umask 077 && cat >"$0/.credentials.json"' "$config" \
        <<<"${login/PROJECT/$project}"
}
told() { docker logs --since "$1" "$HOST_API" 2>&1; }

# The agent's session in bypass mode, with no key but the login's.
session_works() {
    local since
    since=$(date --iso-8601=ns)
    check "$1: the agent's session ends well" in_project env "ANTHROPIC_BASE_URL=$api" \
        timeout 120 claude --dangerously-skip-permissions -p go
    check "$1: it worked with the login" grep -q "Bearer login-of-$project" <(told "$since")
    check "$1: it ran the command, and not as root" grep -q 'agent-runs-as-[1-9]' <(told "$since")
    check_not "$1: its attack got no page" grep -q 'stand-in reached' <(told "$since")
}

# What an interactive start shows at first, on a terminal; $config is an empty configuration if it is set.
first_screen() {
    local client
    docker exec --tty --env TERM=xterm ${config:+--env "CLAUDE_CONFIG_DIR=$config"} --user "$remote" \
        "$container" "$@" >"$WORK/screen" 2>&1 &
    client=$!
    for _ in $(seq 100); do
        if grep -qE 'Accessing.*workspace|Welcome.*Claude' "$WORK/screen"; then break; fi
        sleep 0.2
    done
    kill "$client" 2>/dev/null
    cat "$WORK/screen"
}

# push_says TEXT [VARIABLE=VALUE]: to a host that may be reached, and that is no git host.
push_says() {
    # shellcheck disable=SC2016 # the container's shell expands
    as_user env ${2:+"$2"} sh -c 'cd "$(mktemp -d)" && git init --quiet 2>/dev/null &&
        ! git push --no-verify http://web.test.example/a.git :refs/heads/x 2>&1' | grep -qF "$1"
}

# All that a Quick Start promises, for the project that is up, with Claude Code's configuration in this folder.
quickstart_holds() {
    local id config screen
    check_not "closed after up" reaches_evil "$container"
    check "an allowed name is reached" reaches "$container" web.test.example
    check "verify holds" in_project agent-sandbox verify
    check "verify has tried git push" grep -q '^PASS  git.push ' <(in_project agent-sandbox verify)
    check "git push is refused with a sentence" push_says 'refused in this sandbox; push from the host'
    check_not "which is not the host's" push_says 'refused in this sandbox' GIT_CONFIG_NOSYSTEM=1
    check "claude --version" [ "$(in_project claude --version)" = "$CLAUDE_VERSION (Claude Code)" ]
    screen=$(config='' first_screen claude)
    check "an interactive start goes to the workspace" grep -q 'Accessing.*workspace' <<<"$screen"
    check_not "it shows no onboarding" grep -q 'Welcome.*Claude' <<<"$screen"
    screen=$(config=/tmp/empty first_screen /usr/local/lib/agent-sandbox/claude)
    check "which a configuration that is not begun does" grep -q 'Welcome.*Claude' <<<"$screen"
    check "nobody is logged in at first" [ "$(claude_says loggedIn)" = false ]
    config=$(claude_says configDirectory)
    check "the configuration is in $1" [ "$config" = "$1" ]
    logs_in
    check "a login there is one" [ "$(claude_says loggedIn)" = true ]
    session_works "first container"
    id=$(claude_id)
    check "the state file is in the same folder" [ -n "$id" ]
    up_project "$project" --remove-existing-container
    check_not "closed in the next container" reaches_evil "$container"
    check "the login is still there" [ "$(claude_says loggedIn)" = true ]
    check "so is the state" [ "$(claude_id)" = "$id" ]
    # shellcheck disable=SC2016 # the container's shell expands
    check "all of it can be written" as_user sh -c \
        'cd "$0" && touch new && for file in . .credentials.json .claude.json; do [ -w "$file" ] || exit 1; done' "$config"
    session_works "next container"
}

# Without the login the registry gives nothing: what was consumed came through it.
needs_the_login() {
    if [ "$ROW_FROM" != registry ]; then return; fi
    mkdir -p "$WORK/no-login"
    check_not "without a login the registry gives no Feature" gives_the_feature "$1" "$WORK/no-login"
    check "with it, it does" gives_the_feature "$1" "$SECURED_LOGIN"
}
gives_the_feature() {
    docker_config=$2 cli read-configuration --include-features-configuration --workspace-folder "$WORK/$1" \
        2>"$WORK/read.log" | grep -q 'sandboxd start'
}
