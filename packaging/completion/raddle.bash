# Completion of the command raddle for bash. tests/cli/options.py holds the options against --help.

_raddle()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} options
    local common="--shape --set --seed --device --no-fusion"
    local always="--help --usage --version"
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "run inspect bench doctor help $always" -- "$current"))
        return
    fi
    # With "=" among the characters that break words, --device=c is three of them.
    if [[ $current == "=" ]]; then
        current=""
    elif [[ $previous == "=" ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $previous in
    --device | -d)
        COMPREPLY=($(compgen -W "cpu sim" -- "$current"))
        return
        ;;
    --inputs | --outputs | --trace | -i | -o)
        COMPREPLY=($(compgen -f -- "$current"))
        return
        ;;
    --shape | --set | --seed | --runs | --threads | --seconds)
        return
        ;;
    esac
    case $command in
    run) options="$common --inputs --outputs --profile --runs --trace $always" ;;
    inspect) options="$common --json $always" ;;
    bench) options="$common --threads --seconds --json $always" ;;
    doctor) options="--json $always" ;;
    help)
        COMPREPLY=($(compgen -W "run inspect bench doctor" -- "$current"))
        return
        ;;
    *) return ;;
    esac
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$current"))
    elif [[ $command != doctor ]]; then
        COMPREPLY=($(compgen -f -X '!*.onnx' -- "$current") $(compgen -d -- "$current"))
    fi
}
complete -o filenames -F _raddle raddle
