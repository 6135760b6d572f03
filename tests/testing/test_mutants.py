"""FileSystemTests can fail: each broken FileSystem is found out, by the test that is there for it."""

from __future__ import annotations

import pytest

from tests.testing.mutants import MUTANTS

pytest_plugins = ["pytester"]

FOUND_BY = {
    "test_nothing_is_seen_before_commit": "VisibleAtOnce VisibleWhileWriting TempFileIsListed",
    "test_not_committing_is_discarding": "DiscardPublishes LeavingPublishes",
    "test_readers_see_whole_versions": "DeletesBeforeCommit TornCommit",
    "test_second_commit_is_refused": "CommitTwice",
    "test_any_other_size_is_refused": "SizeIsNotChecked",
    "test_content_is_what_was_written": "LastByteLost",
    "test_takes_any_bytes_like_object": "OffsetByItems",
    "test_buffer_may_be_used_again": "KeepsTheBuffer",
    "test_edit": "KeepWritesZeros KeepIsLost KeepMovesByOne",
    "test_never_a_mix_of_two_versions": "KeepOfAnyVersion KeepForgetsTheVersion",
    "test_range_that_is_not_there": "KeepTakesWhatIsThere",
    "test_nothing_expected_where_a_file_is": "NothingIsNotChecked",
    "test_nothing_expected_where_nothing_is": "NothingMayNeverBeThere",
    "test_file_that_appears_before_the_commit": "CheckedAtTheBeginningOnly",
    "test_one_of_many_creates": "CheckedTooEarly",
    "test_refused_commit_may_be_repeated": "RefusedCommitDiscards",
    "test_revision_changes_with_the_content": "RevisionIsTheSize",
    "test_range": "ReadsOneByteTooMany ReadsFromTheStart ReadsAllForNothing",
    "test_chunks_are_bytes_and_never_empty": "EmptyChunks",
    "test_expected_revision": "ReadsAnyRevision",
    "test_stream_is_of_one_version": "ReadsTwoVersions",
    "test_streams_do_not_disturb_each_other": "SharedStream",
    "test_more_than_two_pages": "PageIsLost PageBoundaryTwice",
    "test_deleting_while_listing_deletes_all": "PagesByOffset",
    "test_empty_folder": "ListsItself",
    "test_lists_files_and_folders_of_this_folder_alone": "ListsEverythingBelow",
    "test_listing_follows_changes_at_once": "StaleListing",
    "test_names_that_begin_alike_are_apart": "ListsByPrefix RenameTakesSiblings",
    "test_errors_come_with_the_first_item": "MissingFolderIsEmpty",
    "test_entries_agree_with_get_metadata": "ListingWithoutSizes",
    "test_mistake": "EverythingIsNotFound EverythingIsForbidden ErrorsWithoutPath MakesMissingFolders MakesParentsToo DeletesFoldersAsFiles",
    "test_deleted_file_is_gone": "PythonErrors MissingFileIsDeleted",
    "test_only_an_empty_folder_is_deleted": "DeletesFullFolders",
    "test_one_make_dir_of_many": "MakesFolderTwice",
    "test_folder_outlives_its_last_entry": "FolderGoesWithItsLastFile",
    "test_root_is_not_deleted": "RootCanBeDeleted",
    "test_delete_tree": "TreeIsNeverMissing",
    "test_delete_tree_of_many_entries": "TreeIsOnePage",
    "test_delete_tree_takes_nothing_else": "TreeTakesSiblings",
    "test_delete_tree_of_the_root_is_refused": "TreeOfTheRootIsDeleted",
    "test_overwrite_replaces_a_file": "RenameAlwaysOverwrites RenameNeverOverwrites",
    "test_rename_over_leaves_no_gap": "RenameLeavesAGap",
    "test_folder_with_all_that_it_holds": "RenameOfOneLevel CopyOfFilesOnly",
    "test_file": "RenameIsACopy",
    "test_one_rename_of_many": "RenameByCopyClaimsToBeAtomic",
    "test_onto_itself": "RenameOntoItselfFails",
    "test_folder_onto_anything": "RenameReplacesEmptyFolders",
    "test_file_keeps_its_time": "CopyLosesTheTime",
    "test_unicode_forms_are_different_names": "NamesAreComposed",
    "test_letter_case": "NamesAreSmall",
    "test_file_keeps_its_name": "NamesAreStripped NamesAreCut NamesAreUnquoted NamesAreText",
    "test_name_that_is_too_long": "LongNamesAreTaken",
    "test_times_are_utc": "TimesAreLocal",
    "test_set_modified_datetime": "TimesAreForgotten ZoneIsIgnored",
    "test_written_with_a_time": "WrittenTimesAreForgotten",
    "test_space": "SpaceIsNegative",
    "test_content_hash_is_true": "HashIsWrong",
    "test_descriptor_holds_the_whole_content": "NativeFileIsShort",
    "test_no_descriptor_or_thread_is_left": "DescriptorIsLeft ThreadIsLeft",
    "test_resume": "ResumeForgetsWhatWasSent",
    "test_any_sequence_of_calls": "FolderGoesWithItsLastFile KeepIsLost StaleListing",
}
"""A test -> the mutants that it must find."""

MODULE = """
    import pytest
    from cloudalpha.testing import FileSystemTests
    from tests.testing.mutants import MUTANTS

    class TestMutant(FileSystemTests):
        num_examples = 200  # what is wrong is found much sooner, almost always

        @pytest.fixture
        def file_system(self):
            return MUTANTS[{name!r}]()
"""


@pytest.mark.parametrize(("test", "name"), [(test, name) for test, names in FOUND_BY.items() for name in names.split()])
def test_is_found_out(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, test: str, name: str) -> None:
    monkeypatch.delenv("CI", raising=False)  # there pytest writes out whole megabytes that differ
    path = pytester.makepyfile(MODULE.format(name=name))
    result = pytester.inline_run(
        f"{path}::TestMutant::{test}", "-x", "-q", "-p", "no:cacheprovider", "--tb=native", "--timeout=120"
    )
    failed = [
        report for report in result.getfailures() if report.nodeid.endswith(test) or f"::{test}[" in report.nodeid
    ]
    assert failed, f"{name} passes {test}"


def test_every_mutant_has_its_test() -> None:
    assert {name for names in FOUND_BY.values() for name in names.split()} == set(MUTANTS)
