# bash completion for smtplb(8): commands, their options, and the backends of the running daemon.

# Names stand alone on their lines, those of the backends deeper in.
_smtplb_targets() {
    smtplb status --json "$@" 2>/dev/null | awk -F'"' '
        /^  "pools"/ { pools = 1 }
        pools && /^      "name"/ { pool = $4 }
        pools && /^          "name"/ { print pool "/" $4 }'
}

_smtplb() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} options="-c" where=() i
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(smtplb help 2>/dev/null |
            awk '/^  [a-z]/ { print $1 }')" -- "$current")
        return
    fi
    case $before in
    -c | --socket | =)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    esac
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -c | --socket)
            where+=("${COMP_WORDS[i]}")
            [ "${COMP_WORDS[i + 1]}" = "=" ] && ((i++))
            where+=("${COMP_WORDS[++i]}")
            ;;
        esac
    done
    case $command in
    explain) options="-c --listener" ;;
    status | sessions | denied) options="-c --socket --json" ;;
    reload) options="-c --socket" ;;
    drain | maint | ready)
        options="-c --socket"
        if [[ $current != -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_smtplb_targets "${where[@]}")" -- "$current")
            return
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
}

complete -F _smtplb smtplb
